-- Takes or renews a volume-wide lease for this session. ARGV[4] name, [5] ms. Returns {'OK', 1 or 0}.
--@include core
--@include mutate
local key = P .. 'lease:' .. ARGV[4]
local holder = call('GET', key)
if holder and holder ~= SID then return finish({ 'OK', 0 }) end
call('SET', key, SID, 'PX', ARGV[5])
return finish({ 'OK', 1 })
