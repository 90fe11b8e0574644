-- `gc`: zset of `id:size`, stored slices without a record, by the time they may be deleted.
--@needs core now
local garbage = {}

function garbage.add(id, size)
  call('ZADD', P .. 'gc', now.ms + tonumber(call('HGET', P .. 'n', 'gcMs') or '120000'), fmt(id) .. ':' .. fmt(size))
end
