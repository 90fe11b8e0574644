-- Makes a file, directory, symbolic link, fifo, socket or device under a name.
-- Returns {'OK', ino, attributes, attributes of the directory}.
-- Errors: ENOENT (no directory, or a removed one), ENOTDIR, EEXIST, EACCES.
--@needs core attrs mutate stale access entries inodes
local parent, name, caller = arg.parent, arg.name, arg.caller
local dir = attrs.get(parent)
if not dir or inodes.is_removed(dir) then return { 'ENOENT' } end
if not attrs.is_dir(dir) then return { 'ENOTDIR' } end
if not access.may(caller, dir, MAY_SEARCH) then return { 'EACCES' } end
if entries.find(parent, name, 'p') then return { 'EEXIST' } end
if not access.may(caller, dir, MAY_WRITE) then return { 'EACCES' } end

local ino, a = inodes.new(arg.mode, arg.uid, arg.gid, parent)
a.rdev = arg.rdev
inodes.inherit_group(dir, a)
-- Who is not of the file's group makes no set-group-id program for it.
if caller and caller.uid ~= 0 and not attrs.is_dir(a) and has(a.mode, S_ISGID) and has(a.mode, S_IXGRP) and not caller.groups[a.gid] then
  a.mode = a.mode - S_ISGID
end
if arg.target ~= '' then
  a.size = #arg.target
  call('SET', P .. 'l' .. ino, arg.target)
  call('HINCRBY', P .. 'n', 'bytes', a.size)
end
local packed = attrs.set(ino, a)
entries.add(parent, name, attrs.is_dir(a), ino, false)
stale.entry(parent, name)
return mutate.finish({ 'OK', ino, packed, inodes.dir_changed(parent, dir, attrs.is_dir(a) and 1 or 0) })
