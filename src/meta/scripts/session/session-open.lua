-- Begins a session. The grace period of removed inodes is kept longer than every live session's lease.
-- Returns {'OK', session id, server seconds, microseconds, format JSON}. Errors: ENOENT (no such volume).
--@needs core now
local format = call('GET', P .. 'fmt')
if not format then return { 'ENOENT' } end
local lease = arg.lease_ms
local longest = lease
for _, sid in ipairs(call('ZRANGEBYSCORE', P .. 'ses', fmt(now.ms), '+inf')) do
  longest = math.max(longest, tonumber(call('HGET', P .. 'ses:' .. sid, 'lease') or '0'))
end
local grace = arg.grace_ms or tonumber(call('HGET', P .. 'n', 'graceMs') or '75000')
call('HSET', P .. 'n', 'graceMs', fmt(math.max(grace, math.floor(longest * 1.25))))
local sid = fmt(call('HINCRBY', P .. 'n', 'sid', 1))
call('HSET', P .. 'ses:' .. sid, 'exp', fmt(now.ms + lease), 'lease', fmt(lease), 'started', fmt(now.ms), unpack(ARGV, arg.info_at))
call('ZADD', P .. 'ses', fmt(now.ms + lease), sid)
return { 'OK', sid, fmt(now.us), format }
