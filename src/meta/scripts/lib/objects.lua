-- Included (after core, names and access) by S3's operations on paths.
--
--   o<ino>  hash, the S3 side of an inode with F_S3: v content version the etag and checksums belong to, e etag,
--           h headers, t tags, c checksums, p parts (JSON, bytes as latin1)
--
-- A key's components travel as one argument joined by '/', with their count ('' alone is one empty component).
-- Steps of a path: {ino, attr, entry}; `linked` when a symbolic link led there.
local LINKS_MAX = 40

local function is_symlink(a)
  return bit.band(a.mode, S_IFMT) == S_IFLNK
end

local function is_file(a)
  return bit.band(a.mode, S_IFMT) == S_IFREG
end

local function components_of(path, count)
  local list, at = {}, 1
  for i = 1, count do
    local slash = string.find(path, '/', at, true) or #path + 1
    list[i] = string.sub(path, at, slash - 1)
    at = slash + 1
  end
  return list
end

-- The tag the object has now; src/base/derived-etag.ts derives the same for content that S3 did not write.
local function object_etag(ino, a)
  if has(a.flags, F_S3) then
    local kept = call('HMGET', P .. 'o' .. ino, 'v', 'e')
    if kept[1] and kept[2] and kept[2] ~= '' and tonumber(kept[1]) == a.version then return kept[2] end
  end
  return string.sub(redis.sha1hex('janusfs:' .. ino .. ':' .. fmt(a.version)), 1, 32) .. '-1'
end

-- A name as the mount shows it (src/vfs/name/mount-names.ts), which is what symbolic links contain: stored name and kind.
local function mount_name(shown)
  if string.sub(shown, 1, 2) ~= '%~' then return shown, 'e' end
  if string.sub(shown, 3, 4) == '%~' then return string.sub(shown, 3), 'e' end
  if string.sub(shown, 3, 7) == 'file:' then return string.sub(shown, 8), 'f' end
  if string.sub(shown, 3, 6) == 'dir:' then return string.sub(shown, 7), 'd' end
  if shown == '%~dot' then return '.', 'e' end
  if shown == '%~dotdot' then return '..', 'e' end
  if shown == '%~empty' then return '', 'e' end
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
local function link_resolve(caller, dir, link, budget)
  local pending, current = {}, dir
  budget.left = budget.left - 1
  if budget.left < 0 then return nil, 'ELOOP' end
  if not link_push(pending, link) then return nil, 'ENOENT' end
  while #pending > 0 do
    local shown = table.remove(pending)
    local a = attr_get(current)
    if not a then return nil, 'ENOENT' end
    if not may(caller, a, 1) then return nil, 'EACCES' end
    if shown == '..' then
      if current == '1' then return nil, 'ENOENT' end
      current = fmt(a.parent)
    elseif shown ~= '' and shown ~= '.' then
      local name, kind = mount_name(shown)
      local entry = name and entry_find(current, name, kind)
      if not entry then return nil, 'ENOENT' end
      if entry.dir then
        current = entry.ino
      else
        local target = attr_get(entry.ino)
        if not target then return nil, 'ENOENT' end
        if is_symlink(target) then
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
  return current, attr_get(current)
end

-- Walks `count` components as directories from `root`, as far as they exist: answers the steps (the first is the root
-- itself, so all were found when there are count + 1), or nil and EACCES, ELOOP or ENOENT (no such root).
local function dirs_walk(caller, root, components, count, budget)
  local a = attr_get(root)
  if not a or not is_dir(a) or a.nlink == 0 then return nil, 'ENOENT' end
  local dirs = { { ino = root, attr = a } }
  for i = 1, count do
    local dir = dirs[i]
    if not may(caller, dir.attr, 1) then return nil, 'EACCES' end
    local entry = entry_typed(dir.ino, components[i], true)
    if entry then
      dirs[i + 1] = { ino = entry.ino, attr = attr_get(entry.ino), entry = entry }
    else
      local file = entry_typed(dir.ino, components[i], false)
      local found = file and attr_get(file.ino)
      if not found or not is_symlink(found) then return dirs end
      local ino, target = link_resolve(caller, dir.ino, file.ino, budget)
      if not ino and target ~= 'ENOENT' then return nil, target end
      if not ino or not target or not is_dir(target) then return dirs end
      dirs[i + 1] = { ino = ino, attr = target, linked = true }
    end
  end
  return dirs
end

-- A directory is an object (`dir/`) when PUT made it one, or when mkdir did and it is empty.
local function is_dir_object(ino, a)
  if has(a.flags, F_MARKER) then return true end
  return not has(a.flags, F_IMPLICIT) and call('ZCARD', P .. 'd' .. ino) == 0
end

-- What stands at a name: the entry, its attributes, and number and attributes of the object S3 sees there, if any.
local function object_at(caller, dir, name, directory)
  local entry = entry_typed(dir, name, directory)
  local a = entry and attr_get(entry.ino)
  if not a then return nil end
  if directory then
    if is_dir_object(entry.ino, a) then return entry, a, entry.ino, a end
  elseif is_file(a) then
    return entry, a, entry.ino, a
  elseif is_symlink(a) then
    local ino, target = link_resolve(caller, dir, entry.ino, { left = LINKS_MAX })
    if ino and target and is_file(target) then return entry, a, ino, target end
  end
  return entry, a
end

local function etag_listed(list, etag)
  for _, wanted in ipairs(list) do
    if wanted == '*' or wanted == etag then return true end
  end
  return false
end

-- Decides a precondition ('' or JSON: m If-Match, n If-None-Match, s size, t mtime) against the present object (nil:
-- none). Answers nil, or ENOENT (it asks for an object and there is none) or ECANCELED (it does not hold).
local function precondition_failure(packed, ino, a)
  if packed == '' then return nil end
  local want = cjson.decode(packed)
  if not a then return (want.m or want.s or want.t) and 'ENOENT' or nil end
  local etag = object_etag(ino, a)
  if want.m and not etag_listed(want.m, etag) then return 'ECANCELED' end
  if want.n and etag_listed(want.n, etag) then return 'ECANCELED' end
  if want.s and want.s ~= (is_dir(a) and 0 or a.size) then return 'ECANCELED' end
  if want.t and want.t ~= a.ms then return 'ECANCELED' end
  return nil
end
