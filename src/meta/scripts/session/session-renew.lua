-- Heartbeat: the lease runs from now. A session whose lease ran out is never revived. May be executed twice.
-- Returns {'OK', server seconds, microseconds}. Errors: ESESSION.
--@needs core now
local key = P .. 'ses:' .. arg.sid
local kept = call('HMGET', key, 'exp', 'lease')
if not kept[1] or tonumber(kept[1]) < now.ms then return { 'ESESSION' } end
local expires = fmt(now.ms + tonumber(kept[2]))
call('HSET', key, 'exp', expires)
call('ZADD', P .. 'ses', expires, arg.sid)
return { 'OK', fmt(now.us) }
