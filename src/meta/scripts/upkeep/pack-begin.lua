-- Reserves a pack's slice id, recorded in `pkup` with this session. ARGV[4] ms until it counts as given up
-- Returns {'OK', id}.
--@include core
--@include mutate
local id = fmt(new_slices(1))
call('ZADD', P .. 'pkup', NOW_MS + tonumber(ARGV[4]), id .. ':' .. SID)
return finish({ 'OK', id })
