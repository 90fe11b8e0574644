-- Reserves a pack's slice id, recorded in `pkup` with this session. Returns {'OK', id}.
--@shrinks
--@needs core now mutate fresh
local id = fmt(fresh.slices(1))
call('ZADD', P .. 'pkup', now.ms + arg.ms_max, id .. ':' .. mutate.sid)
return mutate.finish({ 'OK', id })
