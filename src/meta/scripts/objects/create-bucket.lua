-- Makes a bucket: an explicit top-level directory. Any S3 user may; it belongs to them.
-- ARGV[4] name, [5] mode, [6] uid, [7] gid
-- Returns {'OK', ino, attributes, 1 when younger, attributes of the root}. Errors: EEXIST, EINVAL (no bucket name).
--@include core
--@include mutate
--@include names
--@include inodes
--@include buckets
local name = ARGV[4]
if not is_bucket_name(name) then return { 'EINVAL' } end
if entry_typed('1', name, true) then return { 'EEXIST' } end
local root = attr_get('1')
local ino, a = inode_new(S_IFDIR + bit.band(tonumber(ARGV[5]), 4095), tonumber(ARGV[6]), tonumber(ARGV[7]), '1')
inherit_group(root, a)
local younger = entry_typed('1', name, false) ~= nil
entry_add('1', name, true, ino, younger)
local packed_root = dir_changed('1', root, 1)
stale_entry('1', name)
return finish({ 'OK', ino, attr_set(ino, a), younger and 1 or 0, packed_root })
