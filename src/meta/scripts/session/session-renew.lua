-- Heartbeat: the lease runs from now. A session whose lease ran out is never revived. May be executed twice.
-- KEYS[1] prefix. ARGV[1] session id
-- Returns {'OK', server seconds, microseconds}. Errors: ESESSION.
--@include core
if redis.replicate_commands then redis.replicate_commands() end
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local key = P .. 'ses:' .. ARGV[1]
local held = call('HMGET', key, 'exp', 'lease')
if not held[1] or tonumber(held[1]) < now then return { 'ESESSION' } end
local expires = fmt(now + tonumber(held[2]))
call('HSET', key, 'exp', expires)
call('ZADD', P .. 'ses', expires, ARGV[1])
return { 'OK', time[1], time[2] }
