-- Puts a hidden inode under an upload; an earlier part of that number waits in `del` (a Complete may be reading it).
-- ARGV[4] id, [5] number, [6] ino, [7] size, [8] JSON. Returns {'OK', modified ms}.
-- Errors: ENOENT (no such upload), ESTALE (no such hidden inode).
--@include core
--@include mutate
--@include holds
local id, ino = ARGV[4], ARGV[6]
if call('EXISTS', P .. 'up:' .. id) == 0 then return { 'ENOENT' } end
local a = attr_get(ino)
if not a or a.nlink ~= 0 or a.parent ~= 0 then return { 'ESTALE' } end
local earlier = call('HGET', P .. 'upp:' .. id, ARGV[5])
if earlier then
  local old = fmt(struct.unpack('<I8', earlier))
  if old ~= ino then bury(old) end
end
unhold(ino, SID)
call('ZREM', P .. 'del', ino)
call('HSET', P .. 'upp:' .. id, ARGV[5], struct.pack('<I8I8I8', tonumber(ino), tonumber(ARGV[7]), NOW_MS) .. ARGV[8])
return finish({ 'OK', fmt(NOW_MS) })
