-- Directory entries. A member of d<ino> is `name NUL ino` for a non-directory and `name / ino` for a directory, with a
-- trailing `~` on the shadowed one of two entries of one name. Members sort by bytes, which is S3's key order.
--@needs core
local entries = {}

function entries.member(name, dir, ino, shadowed)
  return name .. (dir and '/' or '\0') .. ino .. (shadowed and '~' or '')
end

-- The entry of that name and type: {name, ino, dir, shadowed, member}, or nil.
function entries.typed(parent, name, dir)
  local low = name .. (dir and '/' or '\0')
  local member = call('ZRANGEBYLEX', P .. 'd' .. parent, '[' .. low, '(' .. name .. (dir and '0' or '\1'), 'LIMIT', 0, 1)[1]
  if not member then return nil end
  local ino, shadowed = string.match(member, '^(%d+)(~?)$', #low + 1)
  return { name = name, ino = ino, dir = dir, shadowed = shadowed == '~', member = member }
end

-- kind: 'p' what the mount shows under the plain name, 'f' the non-directory, 'd' the directory.
-- With 'p' the second result is the shadowed entry of that name, if there is one.
function entries.find(parent, name, kind)
  if kind == 'f' then return entries.typed(parent, name, false) end
  if kind == 'd' then return entries.typed(parent, name, true) end
  local file, dir = entries.typed(parent, name, false), entries.typed(parent, name, true)
  if file and dir then
    if file.shadowed then return dir, file end
    return file, dir
  end
  return file or dir
end

-- Takes an entry away; the other one of that name, if it was shadowed, becomes the plain one.
function entries.remove(parent, entry)
  call('ZREM', P .. 'd' .. parent, entry.member)
  if not entry.shadowed then
    local other = entries.typed(parent, entry.name, not entry.dir)
    if other and other.shadowed then
      call('ZREM', P .. 'd' .. parent, other.member)
      call('ZADD', P .. 'd' .. parent, 0, entries.member(other.name, other.dir, other.ino, false))
    end
  end
end

function entries.add(parent, name, dir, ino, shadowed)
  call('ZADD', P .. 'd' .. parent, 0, entries.member(name, dir, ino, shadowed))
end

-- Puts another inode of the same type under an existing entry, which keeps its place as primary or shadowed.
function entries.replace(parent, entry, ino)
  call('ZREM', P .. 'd' .. parent, entry.member)
  entries.add(parent, entry.name, entry.dir, ino, entry.shadowed)
end
