-- Takes or renews a volume-wide lease for this session. Returns {'OK', 1 or 0}.
--@shrinks
--@needs core mutate
local key = P .. 'lease:' .. arg.name
local holder = call('GET', key)
if holder and holder ~= mutate.sid then return mutate.finish({ 'OK', 0 }) end
call('SET', key, mutate.sid, 'PX', arg.ttl_ms)
return mutate.finish({ 'OK', 1 })
