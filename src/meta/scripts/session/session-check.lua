-- After a connection was lost: is this the Redis that has answered us? A replica that was promoted, or a server that came back without its
-- last writes, lacks answers that were given. Numbers of inodes that may have been given out are then skipped.
-- Returns {'OK', 'whole'}, {'OK', 'gone'} (the session was ended, or never came here) or {'OK', 'lost'}.
--@needs core
local SKIPPED = 1048576
local key = P .. 'ses:' .. arg.sid
local found = call('HMGET', key, 'hostname', 'pid', 'started')
if not found[1] then return { 'OK', 'gone' } end
local function lost()
  call('HINCRBY', P .. 'n', 'ino', SKIPPED)
  return { 'OK', 'lost' }
end
-- Another session that got the same number.
if found[1] ~= arg.hostname or found[2] ~= arg.pid or found[3] ~= arg.started then return lost() end
for slot = 0, #arg.finished / 8 - 1 do
  local finished = struct.unpack('<I8', arg.finished, slot * 8 + 1)
  if finished > 0 then
    local kept = call('HGET', key, 's' .. slot)
    if not kept or struct.unpack('<I8', kept) < finished then return lost() end
  end
end
return { 'OK', 'whole' }
