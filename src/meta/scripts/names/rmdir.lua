-- Removes an empty directory. It waits in `del`, since somebody may have it open.
-- KEYS[1] prefix. ARGV[4] parent, [5] name, [6] kind (lib/names), [7] caller
-- Returns {'OK', ino, attributes, attributes of the parent}.
-- Errors: ENOENT, ENOTDIR, ENOTEMPTY, EACCES, EPERM (sticky directory), EIO.
--@include core
--@include mutate
--@include names
--@include access
--@include inodes
local parent, name, caller = ARGV[4], ARGV[5], caller_of(ARGV[7])
local dir = attr_get(parent)
if not dir then return { 'ENOENT' } end
if not is_dir(dir) then return { 'ENOTDIR' } end
if not may(caller, dir, 1) then return { 'EACCES' } end
local entry = entry_find(parent, name, ARGV[6])
if not entry then return { 'ENOENT' } end
if not may(caller, dir, 2) then return { 'EACCES' } end
local a = attr_get(entry.ino)
if not a then return { 'EIO', 'entry of inode ' .. entry.ino .. ', which is missing' } end
if not sticky_ok(caller, dir, a) then return { 'EPERM' } end
if not entry.dir then return { 'ENOTDIR' } end
if call('ZCARD', P .. 'd' .. entry.ino) > 0 then return { 'ENOTEMPTY' } end

entry_remove(parent, entry)
stale_entry(parent, name)
local packed = dir_taken(entry.ino, a)
return finish({ 'OK', entry.ino, packed, dir_changed(parent, dir, -1) })
