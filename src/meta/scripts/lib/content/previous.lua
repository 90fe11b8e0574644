-- What a file held before it was cut to nothing is kept in the trash, as an inode of its own.
--@needs core attrs fresh slices usage space trash
local previous = {}

-- Entries of a directory among which the file's name is looked for.
local SEEK_MAX = 1000

-- The name of a file with one name, when its directory is not too large; else ''.
local function name_of(ino, parent)
  if call('ZCARD', P .. 'd' .. parent) > SEEK_MAX then return '' end
  for _, member in ipairs(call('ZRANGE', P .. 'd' .. parent, 0, -1)) do
    local name, found = string.match(member, '^(.*)%z(%d+)~?$')
    if found == ino then return name end
  end
  return ''
end

-- Moves all content of a file that has a name to a new inode in the trash. `a` keeps its size: the caller's to change.
function previous.keep(ino, a)
  local place = a.size > 0 and a.nlink > 0 and trash.place()
  if not place then return end
  local kept = {}
  for field, value in pairs(a) do kept[field] = value end
  kept.flags = bit.band(a.flags, bit.bnot(FLAG_LINKS))
  local copy = fresh.inode()
  local parent = fmt(a.parent)
  if not trash.put(place, copy, kept, parent, name_of(ino, parent), ino) then return end
  call('HINCRBY', P .. 'n', 'inodes', 1)
  slices.move_all(ino, copy)
  usage.add(space.allocated(kept))
  for _, side in ipairs({ 'o', 'x', 'a' }) do call('COPY', P .. side .. ino, P .. side .. copy) end
  attrs.set(copy, kept)
end
