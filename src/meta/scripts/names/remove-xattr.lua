-- Removes an extended attribute.
-- Returns {'OK', attributes}. Errors: ENOENT, ENODATA.
--@shrinks
--@needs core attrs mutate stale times
local ino = arg.ino
local a = attrs.get(ino)
if not a then return { 'ENOENT' } end
local key = P .. 'x' .. ino
if call('HDEL', key, arg.name) == 0 then return { 'ENODATA' } end
if call('EXISTS', key) == 0 and has(a.flags, FLAG_XATTR) then a.flags = a.flags - FLAG_XATTR end
times.change(a)
stale.inode(ino, a.version)
return mutate.finish({ 'OK', attrs.set(ino, a) })
