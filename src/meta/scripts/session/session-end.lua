-- Ends a session: its own, or one whose lease ran out. Inodes only it kept go to `del`, at most 500 per call.
-- Returns {'OK', session id or '' when there is none to end, '1' when it is ended, '0' when there is more to do}.
-- The reply of ending the own session is not kept: there is nothing left to keep it in.
--@shrinks
--@needs core now attrs mutate holds
local gone = arg.sid
if gone == '' then
  gone = call('ZRANGEBYSCORE', P .. 'ses', '-inf', '(' .. fmt(now.ms), 'LIMIT', 0, 1)[1]
  if not gone then return mutate.finish({ 'OK', '', '1' }) end
end
if gone ~= mutate.sid then
  local expires = tonumber(call('HGET', P .. 'ses:' .. gone, 'exp') or '0')
  if expires >= now.ms then return { 'EBUSY', 'that session is alive' } end
end

local inos = call('SRANDMEMBER', P .. 'open:' .. gone, 500)
for _, ino in ipairs(inos) do
  holds.release(ino, gone)
  if not holds.held(ino) then
    local a = attrs.get(ino)
    if a and a.nlink == 0 then call('ZADD', P .. 'del', 'NX', fmt(now.ms), ino) end
  end
end
if #inos == 500 then return mutate.finish({ 'OK', gone, '0' }) end
call('DEL', P .. 'ses:' .. gone, P .. 'open:' .. gone)
call('ZREM', P .. 'ses', gone)
if gone == mutate.sid then return { 'OK', gone, '1' } end
return mutate.finish({ 'OK', gone, '1' })
