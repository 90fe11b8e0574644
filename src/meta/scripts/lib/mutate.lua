-- Included (after core) by every script that changes something.
-- ARGV[1] session id, ARGV[2] slot, ARGV[3] sequence number of the slot; the script's own arguments start at ARGV[4].
-- Fencing: a session past its lease changes nothing and hears {'ESESSION'}. Exactly once: a repeated (slot, sequence)
-- hears the kept reply. A script ends with `return finish({'OK', ...})`, or with {'ERRNO'} having changed nothing.
if redis.replicate_commands then redis.replicate_commands() end -- before 7.0: TIME and then writes
local SID = ARGV[1]
local SES = P .. 'ses:' .. SID

local time = call('TIME')
local NOW_S, NOW_N = tonumber(time[1]), tonumber(time[2]) * 1000
local NOW_MS = NOW_S * 1000 + math.floor(NOW_N / 1000000)
local NOW_US = NOW_S * 1000000 + NOW_N / 1000

local begun = call('HMGET', SES, 'exp', 's' .. ARGV[2])
if not begun[1] or tonumber(begun[1]) < NOW_MS then return { 'ESESSION' } end
if begun[2] then
  local seq, at = struct.unpack('<I8', begun[2])
  if seq == tonumber(ARGV[3]) then return cmsgpack.unpack(string.sub(begun[2], at)) end
  if seq > tonumber(ARGV[3]) then return { 'ESEQUENCE' } end
end

-- Invalidations of this call, published once at the end when another session is there to hear them.
local invalidations = {}

local function stale_inode(ino, version)
  invalidations[#invalidations + 1] = struct.pack('<c1I8I8', 'I', tonumber(ino), version)
end

local function stale_entry(parent, name)
  invalidations[#invalidations + 1] = struct.pack('<c1I8I2c0', 'E', tonumber(parent), #name, name)
end

local function stale_unlinked(ino)
  invalidations[#invalidations + 1] = struct.pack('<c1I8', 'U', tonumber(ino))
end

local function stale_users()
  invalidations[#invalidations + 1] = 'S'
end

-- Keeps the reply for a retry, publishes, answers. Replies are flat lists of strings and numbers (nested lists allowed).
-- In place of 'OK' it carries the time: from it clients know what this clock shows (server-clock.ts).
local function finish(reply)
  if reply[1] == 'OK' then reply[1] = NOW_US end
  call('HSET', SES, 's' .. ARGV[2], struct.pack('<I8', tonumber(ARGV[3])) .. cmsgpack.pack(reply))
  if #invalidations > 0 and call('ZCARD', P .. 'ses') > 1 then
    call('PUBLISH', P .. 'inv', struct.pack('<I8', tonumber(SID)) .. table.concat(invalidations))
  end
  return reply
end

-- The time (s, n), or the next nanosecond after (after_s, after_n) when that is not earlier: the times of an inode never go
-- back, whatever a clock does.
local function time_after(s, n, after_s, after_n)
  if s > after_s or (s == after_s and n > after_n) then return s, n end
  if after_n == 999999999 then return after_s + 1, 0 end
  return after_s, after_n + 1
end

-- Sets mtime and ctime (content changed) or ctime alone to the server's time. What utimens had set is then history.
local function touch_change(a)
  a.cs, a.cn = time_after(NOW_S, NOW_N, a.cs, a.cn)
end

local function touch_content(a)
  if a.set_us > 0 then a.ms, a.mn = NOW_S, NOW_N else a.ms, a.mn = time_after(NOW_S, NOW_N, a.ms, a.mn) end
  a.set_us = 0
  touch_change(a)
end

-- Takes the set-id bits.
local function drop_set_id(a)
  if has(a.mode, 2048) then a.mode = a.mode - 2048 end
  if has(a.mode, 1024) and has(a.mode, 8) then a.mode = a.mode - 1024 end
end

-- The content or the owner of a file changed: its file capabilities go, whoever did it, and with `set_id` the set-id bits.
local function drop_privileges(ino, a, set_id)
  if set_id then drop_set_id(a) end
  if not has(a.flags, F_XATTR) then return end
  local key = P .. 'x' .. ino
  if call('HDEL', key, 'security.capability') == 1 and call('EXISTS', key) == 0 then a.flags = a.flags - F_XATTR end
end

-- A fresh inode number. Never reused.
local function new_ino()
  return fmt(call('HINCRBY', P .. 'n', 'ino', 1))
end

-- The first of `count` fresh slice ids: max(last + 1, milliseconds x 4096), so that a volume restored from an old copy
-- cannot name a block twice.
local function new_slices(count)
  local last = tonumber(call('HGET', P .. 'n', 'slice') or '0')
  local first = math.max(last + 1, NOW_MS * 4096)
  call('HSET', P .. 'n', 'slice', fmt(first + count - 1))
  return first
end

-- The inode lost its last name: it waits in `del` (score = when it may go, ms) until no session can have it open.
local function bury(ino, a)
  call('ZADD', P .. 'del', NOW_MS + tonumber(call('HGET', P .. 'n', 'graceMs') or '75000'), ino)
  stale_unlinked(ino)
end
