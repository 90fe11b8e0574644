-- Keys as paths. A key's components travel as one argument joined by '/', with their count ('' alone is one empty
-- component). Steps of a path: {ino, attr, entry}; `linked` when a symbolic link led there.
--@needs attrs access entries links
local paths = {}

function paths.components(path, count)
  local list, at = {}, 1
  for i = 1, count do
    local slash = string.find(path, '/', at, true) or #path + 1
    list[i] = string.sub(path, at, slash - 1)
    at = slash + 1
  end
  return list
end

-- Walks `count` components as directories from `root`, as far as they exist: answers the steps (the first is the root
-- itself, so all were found when there are count + 1), or nil and EACCES, ELOOP or ENOENT (no such root).
function paths.walk(caller, root, components, count, budget)
  local a = attrs.get(root)
  if not a or not attrs.is_dir(a) or a.nlink == 0 then return nil, 'ENOENT' end
  local dirs = { { ino = root, attr = a } }
  for i = 1, count do
    local dir = dirs[i]
    if not access.may(caller, dir.attr, MAY_SEARCH) then return nil, 'EACCES' end
    local entry = entries.typed(dir.ino, components[i], true)
    if entry then
      dirs[i + 1] = { ino = entry.ino, attr = attrs.get(entry.ino), entry = entry }
    else
      local file = entries.typed(dir.ino, components[i], false)
      local found = file and attrs.get(file.ino)
      if not found or not attrs.is_symlink(found) then return dirs end
      local ino, target = links.resolve(caller, dir.ino, file.ino, budget)
      if not ino and target ~= 'ENOENT' then return nil, target end
      if not ino or not target or not attrs.is_dir(target) then return dirs end
      dirs[i + 1] = { ino = ino, attr = target, linked = true }
    end
  end
  return dirs
end
