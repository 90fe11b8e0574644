-- Ends a session: its own, or one whose lease ran out. Inodes only it kept go to `del`, at most 500 per call.
-- KEYS[1] prefix. ARGV[4] session id, or '' for the one that has been lost for longest
-- Returns {'OK', session id or '' when there is none to end, '1' when it is ended, '0' when there is more to do}.
-- The reply of ending the own session is not kept: there is nothing left to keep it in.
--@include core
--@include mutate
--@include holds
local gone = ARGV[4]
if gone == '' then
  gone = call('ZRANGEBYSCORE', P .. 'ses', '-inf', '(' .. fmt(NOW_MS), 'LIMIT', 0, 1)[1]
  if not gone then return finish({ 'OK', '', '1' }) end
end
if gone ~= SID then
  local expires = tonumber(call('HGET', P .. 'ses:' .. gone, 'exp') or '0')
  if expires >= NOW_MS then return { 'EBUSY', 'that session is alive' } end
end

local inos = call('SRANDMEMBER', P .. 'open:' .. gone, 500)
for _, ino in ipairs(inos) do
  unhold(ino, gone)
  if not held(ino) then
    local a = attr_get(ino)
    if a and a.nlink == 0 then call('ZADD', P .. 'del', 'NX', fmt(NOW_MS), ino) end
  end
end
if #inos == 500 then return finish({ 'OK', gone, '0' }) end
call('DEL', P .. 'ses:' .. gone, P .. 'open:' .. gone)
call('ZREM', P .. 'ses', gone)
if gone == SID then return { 'OK', gone, '1' } end
return finish({ 'OK', gone, '1' })
