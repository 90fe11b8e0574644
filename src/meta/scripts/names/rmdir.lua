-- Removes an empty directory. It waits in `del`, since somebody may have it open.
-- Returns {'OK', ino, attributes, attributes of the parent}.
-- Errors: ENOENT, ENOTDIR, ENOTEMPTY, EACCES, EPERM (sticky directory; the trash), EIO.
--@shrinks
--@needs core attrs mutate stale access entries inodes trash
local parent, name, caller = arg.parent, arg.name, arg.caller
local dir = attrs.get(parent)
if not dir then return { 'ENOENT' } end
if not attrs.is_dir(dir) then return { 'ENOTDIR' } end
if not access.may(caller, dir, MAY_SEARCH) then return { 'EACCES' } end
local entry = entries.find(parent, name, arg.kind)
if not entry then return { 'ENOENT' } end
if not access.may(caller, dir, MAY_WRITE) then return { 'EACCES' } end
local a = attrs.get(entry.ino)
if not a then return { 'EIO', 'entry of inode ' .. entry.ino .. ', which is missing' } end
if not access.sticky_allows(caller, dir, a) then return { 'EPERM' } end
if not entry.dir then return { 'ENOTDIR' } end
if call('ZCARD', P .. 'd' .. entry.ino) > 0 then return { 'ENOTEMPTY' } end
if trash.is_place(parent, entry.ino) then return { 'EPERM', 'the trash is on' } end

entries.remove(parent, entry)
stale.entry(parent, name)
local packed = inodes.dir_taken(entry.ino, a, name)
return mutate.finish({ 'OK', entry.ino, packed, inodes.dir_changed(parent, dir, -1) })
