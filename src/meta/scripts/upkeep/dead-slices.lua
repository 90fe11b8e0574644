-- Stored slices whose grace is over and that no record names. Returns {'OK', `id:size`...}.
--@needs core now
local dead = {}
for _, member in ipairs(call('ZRANGEBYSCORE', P .. 'gc', '-inf', fmt(now.ms), 'LIMIT', 0, arg.limit)) do
  local id = string.match(member, '^%d+')
  -- A slice that is referenced does not wait here; should the counters ever disagree, a leak beats a loss.
  if call('HEXISTS', P .. 'ref', id) == 0 and call('HEXISTS', P .. 'pk', id) == 0 then dead[#dead + 1] = member end
end
return { 'OK', unpack(dead) }
