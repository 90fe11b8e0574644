-- Bytes of inline slices. ARGV: ids. Returns {'OK', bytes or nil...}.
--@include core
local keys = {}
for i, id in ipairs(ARGV) do keys[i] = P .. 'b' .. id end
return { 'OK', call('MGET', unpack(keys)) }
