-- Directory entries. A member of d<ino> is `name NUL ino` for a non-directory and `name / ino` for a directory, with a
-- trailing `~` on the younger of two entries of one name. Members sort by bytes, which is S3's key order.
--@needs core
local entries = {}

function entries.member(name, dir, ino, younger)
  return name .. (dir and '/' or '\0') .. ino .. (younger and '~' or '')
end

-- The entry of that name and type: {name, ino, dir, younger, member}, or nil.
function entries.typed(parent, name, dir)
  local low = name .. (dir and '/' or '\0')
  local member = call('ZRANGEBYLEX', P .. 'd' .. parent, '[' .. low, '(' .. name .. (dir and '0' or '\1'), 'LIMIT', 0, 1)[1]
  if not member then return nil end
  local ino, younger = string.match(member, '^(%d+)(~?)$', #low + 1)
  return { name = name, ino = ino, dir = dir, younger = younger == '~', member = member }
end

-- kind: 'e' what the mount shows under the plain name, 'f' the non-directory, 'd' the directory.
-- With 'e' the second result is the younger entry of that name, if there is one.
function entries.find(parent, name, kind)
  if kind == 'f' then return entries.typed(parent, name, false) end
  if kind == 'd' then return entries.typed(parent, name, true) end
  local file, dir = entries.typed(parent, name, false), entries.typed(parent, name, true)
  if file and dir then
    if file.younger then return dir, file end
    return file, dir
  end
  return file or dir
end

-- Takes an entry away; the other one of that name, if it was the younger, becomes the plain one.
function entries.remove(parent, entry)
  call('ZREM', P .. 'd' .. parent, entry.member)
  if not entry.younger then
    local other = entries.typed(parent, entry.name, not entry.dir)
    if other and other.younger then
      call('ZREM', P .. 'd' .. parent, other.member)
      call('ZADD', P .. 'd' .. parent, 0, entries.member(other.name, other.dir, other.ino, false))
    end
  end
end

function entries.add(parent, name, dir, ino, younger)
  call('ZADD', P .. 'd' .. parent, 0, entries.member(name, dir, ino, younger))
end

-- Puts another inode of the same type under an existing entry, which keeps its place as elder or younger.
function entries.replace(parent, entry, ino)
  call('ZREM', P .. 'd' .. parent, entry.member)
  entries.add(parent, entry.name, entry.dir, ino, entry.younger)
end
