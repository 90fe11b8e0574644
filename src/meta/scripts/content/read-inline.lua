-- Bytes of inline slices. Returns {'OK', bytes or nil...}.
--@needs core
local keys = {}
for i = arg.ids_at, #ARGV do keys[#keys + 1] = P .. 'b' .. ARGV[i] end
return { 'OK', call('MGET', unpack(keys)) }
