-- Changes fields of an inode's S3 record; content, etag and version stay, ctime moves.
-- Returns {'OK', attributes}. Errors: ENOENT, EACCES (no write permission).
--@needs core attrs mutate stale times access
local ino = arg.ino
local a = attrs.get(ino)
if not a then return { 'ENOENT' } end
if not access.may(arg.caller, a, MAY_WRITE) then return { 'EACCES' } end
-- A record without an etag belongs to no version.
call('HSETNX', P .. 'o' .. ino, 'v', '0')
if #ARGV >= arg.fields_at then call('HSET', P .. 'o' .. ino, unpack(ARGV, arg.fields_at)) end
if not has(a.flags, FLAG_S3) then a.flags = a.flags + FLAG_S3 end
times.change(a)
stale.inode(ino, a.version)
return mutate.finish({ 'OK', attrs.set(ino, a) })
