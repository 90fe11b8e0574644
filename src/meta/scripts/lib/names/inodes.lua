-- Making inodes, and giving and taking their names.
--
-- nlink counts names; of a directory 2 + subdirectories. nlink 0 with parent 0 is hidden (made without a name and may
-- get one); nlink 0 with a parent is removed (it lost its last name and never gets another).
-- `n` `inodes` counts the inodes that exist but for the root, removed ones until they are freed.
--
--   p<ino>  hash of an inode with FLAG_LINKS: parent -> how many names it has in that directory
--@needs core now attrs stale times fresh holds trash
local inodes = {}

-- Attributes of a fresh inode, not stored yet; the caller sets nlink. Answers the number (string) and the attributes.
function inodes.new(mode, uid, gid, parent)
  call('HINCRBY', P .. 'n', 'inodes', 1)
  local dir = bit.band(mode, S_IFMT) == S_IFDIR
  return fresh.inode(), { mode = mode, uid = uid, gid = gid, nlink = dir and 2 or 1, size = dir and 4096 or 0, rdev = 0,
    flags = 0, as = now.s, an = now.ns, ms = now.s, mn = now.ns, cs = now.s, cn = now.ns, bs = now.s, bn = now.ns,
    parent = tonumber(parent), version = 1, set_us = 0, alloc = 0 }
end

-- A set-group-id directory gives its group to what is made in it, and the bit itself to directories.
function inodes.inherit_group(parent, a)
  if not has(parent.mode, S_ISGID) then return end
  a.gid = parent.gid
  if attrs.is_dir(a) and not has(a.mode, S_ISGID) then a.mode = a.mode + S_ISGID end
end

-- A directory that lost its name takes no new entries.
function inodes.is_removed(a)
  return a.nlink == 0 and a.parent ~= 0
end

-- The directory's entries changed: times, number of subdirectories. Stores it; answers its packed form.
function inodes.dir_changed(ino, a, subdirs)
  a.nlink = a.nlink + subdirs
  times.content(a)
  stale.inode(ino, a.version)
  return attrs.set(ino, a)
end

-- The inode (no directory) gets one more name, in `parent`. Stores it; answers its packed form.
function inodes.name_given(ino, a, parent)
  if a.nlink == 0 then
    a.parent = tonumber(parent)
  else
    if not has(a.flags, FLAG_LINKS) then
      a.flags = a.flags + FLAG_LINKS
      call('HSET', P .. 'p' .. ino, fmt(a.parent), a.nlink)
    end
    call('HINCRBY', P .. 'p' .. ino, parent, 1)
  end
  a.nlink = a.nlink + 1
  times.change(a)
  stale.inode(ino, a.version)
  return attrs.set(ino, a)
end

-- One name less in a.parents: keeps p<ino> and a.parent right.
local function parent_dropped(ino, a, parent)
  if not has(a.flags, FLAG_LINKS) then return end
  if call('HINCRBY', P .. 'p' .. ino, parent, -1) <= 0 then call('HDEL', P .. 'p' .. ino, parent) end
  if fmt(a.parent) == parent and call('HEXISTS', P .. 'p' .. ino, parent) == 0 then
    a.parent = tonumber(call('HRANDFIELD', P .. 'p' .. ino) or parent)
  end
end

-- The inode (no directory) loses the name it had in `parent`; without names it goes to the trash, or waits in `del`.
-- Stores it; answers its packed form.
function inodes.name_taken(ino, a, parent, name)
  a.nlink = a.nlink - 1
  parent_dropped(ino, a, parent)
  times.change(a)
  stale.inode(ino, a.version)
  if a.nlink == 0 then
    local place = trash.place()
    if not (place and trash.put(place, ino, a, parent, name, '0')) then holds.orphan(ino) end
  end
  return attrs.set(ino, a)
end

-- A name of the inode moved from one directory to another. Changes a; attr_set is the caller's.
function inodes.name_moved(ino, a, from, to)
  if from == to then return end
  if attrs.is_dir(a) or not has(a.flags, FLAG_LINKS) then
    a.parent = tonumber(to)
    return
  end
  call('HINCRBY', P .. 'p' .. ino, to, 1)
  parent_dropped(ino, a, from)
end

-- The empty directory loses its name and waits in `del`. Its parent's nlink is the caller's (dir_changed).
function inodes.dir_taken(ino, a, name)
  a.nlink = 0
  trash.note_dir(ino, fmt(a.parent), name)
  times.change(a)
  stale.inode(ino, a.version)
  holds.orphan(ino)
  return attrs.set(ino, a)
end
