-- Puts a hidden inode under an upload; an earlier part of that number waits in `del` (a Complete may be reading it).
-- Returns {'OK', modified ms}.
-- Errors: ENOENT (no such upload), ESTALE (no such hidden inode).
--@needs core now attrs mutate holds
local id, ino = arg.upload_id, arg.ino
if call('EXISTS', P .. 'up:' .. id) == 0 then return { 'ENOENT' } end
local a = attrs.get(ino)
if not a or a.nlink ~= 0 or a.parent ~= 0 then return { 'ESTALE' } end
local earlier = call('HGET', P .. 'upp:' .. id, arg.number)
if earlier then
  local old = fmt(struct.unpack('<I8', earlier))
  if old ~= ino then holds.orphan(old) end
end
holds.release(ino, mutate.sid)
call('ZREM', P .. 'del', ino)
call('HSET', P .. 'upp:' .. id, arg.number, struct.pack('<I8I8I8', tonumber(ino), arg.size_bytes, now.ms) .. arg.description)
return mutate.finish({ 'OK', fmt(now.ms) })
