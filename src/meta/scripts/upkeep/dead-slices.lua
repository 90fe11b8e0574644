-- Stored slices whose grace is over and that no record names. ARGV[1] limit
-- Returns {'OK', `id:size`...}.
--@include core
local time = call('TIME')
local now = fmt(tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local dead = {}
for _, member in ipairs(call('ZRANGEBYSCORE', P .. 'gc', '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local id = string.match(member, '^%d+')
  -- A slice that is referenced does not wait here; should the counters ever disagree, a leak beats a loss.
  if call('HEXISTS', P .. 'ref', id) == 0 and call('HEXISTS', P .. 'pk', id) == 0 then dead[#dead + 1] = member end
end
return { 'OK', unpack(dead) }
