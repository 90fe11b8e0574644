-- Removes an extended attribute.
-- KEYS[1] prefix. ARGV[4] ino, [5] name. Returns {'OK', attributes}. Errors: ENOENT, ENODATA.
--@include core
--@include mutate
local ino = ARGV[4]
local a = attr_get(ino)
if not a then return { 'ENOENT' } end
local key = P .. 'x' .. ino
if call('HDEL', key, ARGV[5]) == 0 then return { 'ENODATA' } end
if call('EXISTS', key) == 0 and has(a.flags, F_XATTR) then a.flags = a.flags - F_XATTR end
touch_change(a)
stale_inode(ino, a.version)
return finish({ 'OK', attr_set(ino, a) })
