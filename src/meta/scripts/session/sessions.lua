-- Live and lost sessions, by expiry.
-- Returns {'OK', {id, expiry ms, hostname, pid, kind, version, where, started ms}...}.
--@needs core
local reply = { 'OK' }
for _, sid in ipairs(call('ZRANGE', P .. 'ses', 0, -1)) do
  local info = call('HMGET', P .. 'ses:' .. sid, 'exp', 'hostname', 'pid', 'kind', 'version', 'where', 'started')
  if info[1] then
    local row = { sid }
    for i = 1, 7 do row[i + 1] = info[i] or '' end
    reply[#reply + 1] = row
  end
end
return reply
