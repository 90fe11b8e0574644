-- Sets an extended attribute.
-- Returns {'OK', attributes}. Errors: ENOENT, EEXIST (create), ENODATA (replace), ENOSPC (names of one inode above 64 KiB).
--@needs core attrs mutate stale times
local NAMES_MAX = 65536
local ino, name = arg.ino, arg.name
local a = attrs.get(ino)
if not a then return { 'ENOENT' } end
local key = P .. 'x' .. ino
local there = call('HEXISTS', key, name) == 1
if there and arg.mode == 'create' then return { 'EEXIST' } end
if not there and arg.mode == 'replace' then return { 'ENODATA' } end
if not there then
  local bytes = #name + 1
  for _, other in ipairs(call('HKEYS', key)) do bytes = bytes + #other + 1 end
  if bytes > NAMES_MAX then return { 'ENOSPC', 'the names of extended attributes of one inode are limited to 64 KiB' } end
end

call('HSET', key, name, arg.value)
if not has(a.flags, FLAG_XATTR) then a.flags = a.flags + FLAG_XATTR end
times.change(a)
stale.inode(ino, a.version)
return mutate.finish({ 'OK', attrs.set(ino, a) })
