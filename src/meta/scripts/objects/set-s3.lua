-- Changes fields of an inode's S3 record; content, etag and version stay, ctime moves.
-- ARGV[4] ino, [5...] pairs of field and value. Returns {'OK', attributes}. Errors: ENOENT.
--@include core
--@include mutate
local ino = ARGV[4]
local a = attr_get(ino)
if not a then return { 'ENOENT' } end
-- A record without an etag belongs to no version.
call('HSETNX', P .. 'o' .. ino, 'v', '0')
if #ARGV > 4 then call('HSET', P .. 'o' .. ino, unpack(ARGV, 5)) end
if not has(a.flags, F_S3) then a.flags = a.flags + F_S3 end
touch_change(a)
stale_inode(ino, a.version)
return finish({ 'OK', attr_set(ino, a) })
