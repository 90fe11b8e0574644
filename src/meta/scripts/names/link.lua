-- Gives an inode one more name, or a hidden one its first.
-- KEYS[1] prefix. ARGV[4] ino, [5] directory, [6] name, [7] caller
-- Returns {'OK', attributes, attributes of the directory}.
-- Errors: ENOENT (no inode, a removed one, no or removed directory), EPERM (a directory), ENOTDIR, EEXIST, EACCES, EMLINK.
--@include core
--@include mutate
--@include names
--@include access
--@include inodes
--@include holds
local LINKS_MAX = 65000
local ino, parent, name, caller = ARGV[4], ARGV[5], ARGV[6], caller_of(ARGV[7])
local a, dir = attr_get(ino), attr_get(parent)
if not a or is_removed(a) or not dir or is_removed(dir) then return { 'ENOENT' } end
if not is_dir(dir) then return { 'ENOTDIR' } end
if not may(caller, dir, 1) then return { 'EACCES' } end
if entry_find(parent, name, 'e') then return { 'EEXIST' } end
if is_dir(a) then return { 'EPERM', 'directories have one name' } end
if not may(caller, dir, 2) then return { 'EACCES' } end
if a.nlink >= LINKS_MAX then return { 'EMLINK' } end

if a.nlink == 0 then
  unhold(ino, SID)
  call('ZREM', P .. 'del', ino)
end
local packed = name_given(ino, a, parent)
entry_add(parent, name, false, ino, false)
stale_entry(parent, name)
return finish({ 'OK', packed, dir_changed(parent, dir, 0) })
