-- Stored slices whose grace is over and that no record names. While copies of the metadata are kept (`n` copiedMs), what died after
-- the newest one began stays for the next: the copy names it. Returns {'OK', `id:size`...}.
--@needs core now
local HURRIED_MS = 1000
local dead = {}
local due = now.ms
local kept = call('HMGET', P .. 'n', 'copiedMs', 'gcMs')
-- Whoever is alone and short of disk waits for nobody else's readers, and its own read the map again.
if arg.hurry and call('ZCARD', P .. 'ses') <= 1 then due = due + math.max(0, tonumber(kept[2] or '120000') - HURRIED_MS) end
if kept[1] then due = math.min(due, tonumber(kept[1]) + tonumber(kept[2] or '120000')) end
for _, member in ipairs(call('ZRANGEBYSCORE', P .. 'gc', '-inf', fmt(due), 'LIMIT', 0, arg.limit)) do
  local id = string.match(member, '^%d+')
  -- A slice that is referenced does not wait here; should the counters ever disagree, a leak beats a loss.
  -- What waits in a journal would come into the store after its deletion.
  if call('HEXISTS', P .. 'ref', id) == 0 and call('HEXISTS', P .. 'pk', id) == 0 and call('HEXISTS', P .. 'pend', id) == 0 then
    dead[#dead + 1] = member
  end
end
return { 'OK', unpack(dead) }
