-- Heartbeat: the lease runs from now. A session whose lease ran out goes on as well, as long as nobody has ended it: then
-- nothing it kept was given away. May be executed twice.
-- Returns {'OK', server microseconds, 1 when the lease had run out}. Errors: ESESSION (it was ended).
--@shrinks
--@needs core now
local key = P .. 'ses:' .. arg.sid
local kept = call('HMGET', key, 'exp', 'lease')
if not kept[1] then return { 'ESESSION' } end
local expires = fmt(now.ms + tonumber(kept[2]))
call('HSET', key, 'exp', expires)
call('ZADD', P .. 'ses', expires, arg.sid)
return { 'OK', fmt(now.us), tonumber(kept[1]) < now.ms and 1 or 0 }
