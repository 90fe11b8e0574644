-- What every script that changes something begins and ends with.
--
-- ARGV[1] session id, ARGV[2] slot, ARGV[3] sequence number of the slot; the script's own arguments follow (its schema).
-- Fencing: a session past its lease changes nothing and hears {'ESESSION'}. Exactly once: a repeated (slot, sequence)
-- hears the kept reply. A script ends with `return mutate.finish({'OK', ...})`, or with {'ERRNO'} having changed nothing.
--@needs core now
local mutate = {}

mutate.sid = ARGV[1]
mutate.key = P .. 'ses:' .. ARGV[1]
-- Invalidations of this call (lib stale), published once at the end when another session is there to hear them.
mutate.invalidations = {}

local begun = call('HMGET', mutate.key, 'exp', 's' .. ARGV[2])
if not begun[1] or tonumber(begun[1]) < now.ms then return { 'ESESSION' } end
if begun[2] then
  local seq, at = struct.unpack('<I8', begun[2])
  if seq == tonumber(ARGV[3]) then return cmsgpack.unpack(string.sub(begun[2], at)) end
  if seq > tonumber(ARGV[3]) then return { 'ESEQUENCE' } end
end

-- Keeps the reply for a retry, publishes, answers. Replies are flat lists of strings and numbers (nested lists allowed).
-- In place of 'OK' it carries the time: from it clients know what this clock shows (server-clock.ts).
function mutate.finish(reply)
  if reply[1] == 'OK' then reply[1] = now.us end
  call('HSET', mutate.key, 's' .. ARGV[2], struct.pack('<I8', tonumber(ARGV[3])) .. cmsgpack.pack(reply))
  local invalidations = mutate.invalidations
  if #invalidations > 0 and call('ZCARD', P .. 'ses') > 1 then
    call('PUBLISH', P .. 'inv', struct.pack('<I8', tonumber(mutate.sid)) .. table.concat(invalidations))
  end
  return reply
end
