-- Numbers nobody has had.
--@needs core now
local fresh = {}

-- A fresh inode number. Never reused.
function fresh.inode()
  return fmt(call('HINCRBY', P .. 'n', 'ino', 1))
end

-- The first of `count` fresh slice ids: max(last + 1, milliseconds x 4096), so that a volume restored from an old copy
-- cannot name a block twice.
function fresh.slices(count)
  local last = tonumber(call('HGET', P .. 'n', 'slice') or '0')
  local first = math.max(last + 1, now.ms * 4096)
  call('HSET', P .. 'n', 'slice', fmt(first + count - 1))
  return first
end
