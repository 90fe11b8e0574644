-- Sets an extended attribute.
-- KEYS[1] prefix. ARGV[4] ino, [5] name, [6] value, [7] 'set', 'create' or 'replace'
-- Returns {'OK', attributes}. Errors: ENOENT, EEXIST (create), ENODATA (replace), ENOSPC (names of one inode above 64 KiB).
--@include core
--@include mutate
local NAMES_MAX = 65536
local ino, name = ARGV[4], ARGV[5]
local a = attr_get(ino)
if not a then return { 'ENOENT' } end
local key = P .. 'x' .. ino
local there = call('HEXISTS', key, name) == 1
if there and ARGV[7] == 'create' then return { 'EEXIST' } end
if not there and ARGV[7] == 'replace' then return { 'ENODATA' } end
if not there then
  local bytes = #name + 1
  for _, other in ipairs(call('HKEYS', key)) do bytes = bytes + #other + 1 end
  if bytes > NAMES_MAX then return { 'ENOSPC', 'the names of extended attributes of one inode are limited to 64 KiB' } end
end

call('HSET', key, name, ARGV[6])
if not has(a.flags, F_XATTR) then a.flags = a.flags + F_XATTR end
touch_change(a)
stale_inode(ino, a.version)
return finish({ 'OK', attr_set(ino, a) })
