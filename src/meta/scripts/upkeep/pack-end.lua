-- The pack is complete (or given up). Without a live byte its object waits in `gc`. Returns {'OK'}.
--@shrinks
--@needs core mutate packs
call('ZREM', P .. 'pkup', arg.pack_id .. ':' .. mutate.sid)
local pack = call('HGET', P .. 'pk', arg.pack_id)
if pack then
  local live, total = struct.unpack('<I8I8', pack)
  if live == 0 then packs.add_live(arg.pack_id, 0, total, 0) end
end
return mutate.finish({ 'OK' })
