-- Following symbolic links inside the volume.
--@needs core attrs access entries
local links = {}

-- How many links one call may follow.
function links.budget()
  return { left = 40 }
end

-- A name as the mount shows it (src/vfs/name/mount-names.ts), which is what symbolic links contain: stored name and
-- kind.
local function mount_name(shown)
  if string.sub(shown, 1, 2) ~= '%~' then return shown, 'p' end
  if string.sub(shown, 3, 4) == '%~' then return string.sub(shown, 3), 'p' end
  if string.sub(shown, 3, 7) == 'file:' then return string.sub(shown, 8), 'f' end
  if string.sub(shown, 3, 6) == 'dir:' then return string.sub(shown, 7), 'd' end
  if shown == '%~dot' then return '.', 'p' end
  if shown == '%~dotdot' then return '..', 'p' end
  if shown == '%~empty' then return '', 'p' end
  return nil
end

-- Puts the components of a link's text on top of `pending` (next one last). False when it leaves the volume.
local function link_push(pending, link)
  local text = call('GET', P .. 'l' .. link) or ''
  if text == '' or string.sub(text, 1, 1) == '/' then return false end
  local parts = {}
  for part in string.gmatch(text .. '/', '([^/]*)/') do parts[#parts + 1] = part end
  for i = #parts, 1, -1 do pending[#pending + 1] = parts[i] end
  return true
end

-- Follows the symbolic link `link` found in directory `dir`. Answers number and attributes of what it leads to, or nil
-- and why: ENOENT (dangling, or outside the volume, as absolute targets are), EACCES, ELOOP.
function links.resolve(caller, dir, link, budget)
  local pending, current = {}, dir
  budget.left = budget.left - 1
  if budget.left < 0 then return nil, 'ELOOP' end
  if not link_push(pending, link) then return nil, 'ENOENT' end
  while #pending > 0 do
    local shown = table.remove(pending)
    local a = attrs.get(current)
    if not a then return nil, 'ENOENT' end
    if not access.may(caller, a, MAY_SEARCH) then return nil, 'EACCES' end
    if shown == '..' then
      if current == '1' then return nil, 'ENOENT' end
      current = fmt(a.parent)
    elseif shown ~= '' and shown ~= '.' then
      local name, kind = mount_name(shown)
      local entry = name and entries.find(current, name, kind)
      if not entry then return nil, 'ENOENT' end
      if entry.dir then
        current = entry.ino
      else
        local target = attrs.get(entry.ino)
        if not target then return nil, 'ENOENT' end
        if attrs.is_symlink(target) then
          budget.left = budget.left - 1
          if budget.left < 0 then return nil, 'ELOOP' end
          if not link_push(pending, entry.ino) then return nil, 'ENOENT' end
        elseif #pending > 0 then
          return nil, 'ENOENT'
        else
          return entry.ino, target
        end
      end
    end
  end
  return current, attrs.get(current)
end
