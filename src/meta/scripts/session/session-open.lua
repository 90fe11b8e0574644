-- Begins a session. The grace period of removed inodes is kept longer than every live session's lease.
-- KEYS[1] prefix. ARGV[1] lease ms, [2] grace ms wanted ('' = as it is), [3...] pairs of info fields and values
-- Returns {'OK', session id, server seconds, microseconds, format JSON}. Errors: ENOENT (no such volume).
--@include core
if redis.replicate_commands then redis.replicate_commands() end
local format = call('GET', P .. 'fmt')
if not format then return { 'ENOENT' } end
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local lease = tonumber(ARGV[1])
local longest = lease
for _, sid in ipairs(call('ZRANGEBYSCORE', P .. 'ses', fmt(now), '+inf')) do
  longest = math.max(longest, tonumber(call('HGET', P .. 'ses:' .. sid, 'lease') or '0'))
end
local grace = tonumber(ARGV[2]) or tonumber(call('HGET', P .. 'n', 'graceMs') or '75000')
call('HSET', P .. 'n', 'graceMs', fmt(math.max(grace, math.floor(longest * 1.25))))
local sid = fmt(call('HINCRBY', P .. 'n', 'sid', 1))
call('HSET', P .. 'ses:' .. sid, 'exp', fmt(now + lease), 'lease', ARGV[1], 'started', fmt(now), unpack(ARGV, 3))
call('ZADD', P .. 'ses', fmt(now + lease), sid)
return { 'OK', sid, time[1], time[2], format }
