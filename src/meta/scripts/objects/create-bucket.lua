-- Makes a bucket: an explicit top-level directory. Any S3 user may; it belongs to them.
-- Returns {'OK', ino, attributes, 1 when shadowed, attributes of the root}. Errors: EEXIST, EINVAL (no bucket name).
--@needs attrs mutate stale entries inodes buckets
local name = arg.name
if not buckets.is_name(name) then return { 'EINVAL' } end
if entries.typed('1', name, true) then return { 'EEXIST' } end
local root = attrs.get('1')
local ino, a = inodes.new(S_IFDIR + bit.band(arg.mode, MODE_BITS), arg.uid, arg.gid, '1')
inodes.inherit_group(root, a)
local shadowed = entries.typed('1', name, false) ~= nil
entries.add('1', name, true, ino, shadowed)
local packed_root = inodes.dir_changed('1', root, 1)
stale.entry('1', name)
return mutate.finish({ 'OK', ino, attrs.set(ino, a), shadowed and 1 or 0, packed_root })
