-- Gives an inode one more name, or a hidden one its first.
-- Returns {'OK', attributes, attributes of the directory}.
-- Errors: ENOENT (no inode, a removed one, no or removed directory), EPERM (a directory), ENOTDIR, EEXIST, EACCES, EMLINK.
--@needs core attrs mutate stale access entries holds inodes
local LINKS_MAX = 65000
local ino, parent, name, caller = arg.ino, arg.new_parent, arg.new_name, arg.caller
local a, dir = attrs.get(ino), attrs.get(parent)
if not a or inodes.is_removed(a) or not dir or inodes.is_removed(dir) then return { 'ENOENT' } end
if not attrs.is_dir(dir) then return { 'ENOTDIR' } end
if not access.may(caller, dir, MAY_SEARCH) then return { 'EACCES' } end
if entries.find(parent, name, 'p') then return { 'EEXIST' } end
if attrs.is_dir(a) then return { 'EPERM', 'directories have one name' } end
if not access.may(caller, dir, MAY_WRITE) then return { 'EACCES' } end
if a.nlink >= LINKS_MAX then return { 'EMLINK' } end

if a.nlink == 0 then
  holds.release(ino, mutate.sid)
  call('ZREM', P .. 'del', ino)
end
local packed = inodes.name_given(ino, a, parent)
entries.add(parent, name, false, ino, false)
stale.entry(parent, name)
return mutate.finish({ 'OK', packed, inodes.dir_changed(parent, dir, 0) })
