-- Makes a file, directory, symbolic link, fifo, socket or device under a name.
-- KEYS[1] prefix. ARGV[4] directory, [5] name, [6] mode with type, [7] uid, [8] gid, [9] rdev, [10] caller,
-- [11] target of a symbolic link, else ''
-- Returns {'OK', ino, attributes, attributes of the directory}.
-- Errors: ENOENT (no directory, or a removed one), ENOTDIR, EEXIST, EACCES.
--@include core
--@include mutate
--@include names
--@include access
--@include inodes
local parent, name, caller = ARGV[4], ARGV[5], caller_of(ARGV[10])
local dir = attr_get(parent)
if not dir or is_removed(dir) then return { 'ENOENT' } end
if not is_dir(dir) then return { 'ENOTDIR' } end
if not may(caller, dir, 1) then return { 'EACCES' } end
if entry_find(parent, name, 'e') then return { 'EEXIST' } end
if not may(caller, dir, 2) then return { 'EACCES' } end

local ino, a = inode_new(tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), parent)
a.rdev = tonumber(ARGV[9])
inherit_group(dir, a)
-- Who is not of the file's group makes no set-group-id program for it.
if caller and caller.uid ~= 0 and not is_dir(a) and has(a.mode, 1024) and has(a.mode, 8) and not caller.groups[a.gid] then
  a.mode = a.mode - 1024
end
if ARGV[11] ~= '' then
  a.size = #ARGV[11]
  call('SET', P .. 'l' .. ino, ARGV[11])
  call('HINCRBY', P .. 'n', 'bytes', a.size)
end
local packed = attr_set(ino, a)
entry_add(parent, name, is_dir(a), ino, false)
stale_entry(parent, name)
return finish({ 'OK', ino, packed, dir_changed(parent, dir, is_dir(a) and 1 or 0) })
