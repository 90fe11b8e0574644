-- The pack is complete (or given up). Without a live byte its object waits in `gc`. ARGV[4] pack id. Returns {'OK'}.
--@include core
--@include mutate
--@include map
--@include space
--@include slices
call('ZREM', P .. 'pkup', ARGV[4] .. ':' .. SID)
local pack = call('HGET', P .. 'pk', ARGV[4])
if pack then
  local live, total = struct.unpack('<I8I8', pack)
  if live == 0 then pack_live_add(tonumber(ARGV[4]), 0, total, 0) end
end
return finish({ 'OK' })
