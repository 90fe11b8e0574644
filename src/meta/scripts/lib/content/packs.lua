-- Packs: stored slices that hold what many inline slices held.
--
--   pk              hash: pack id -> <I8I8> live bytes (sum of its records' lengths), size
--   pkdead          zset: pack id by dead bytes
--   pkup            zset: `pack:session` being uploaded, by deadline
--@needs core garbage
local packs = {}

local function pack_uploading(id)
  local low = fmt(id) .. ':'
  for _, member in ipairs(call('ZRANGE', P .. 'pkup', 0, -1)) do
    if string.sub(member, 1, #low) == low then return true end
  end
  return false
end

-- The pack's records cover `delta` bytes more (or fewer). Without live bytes and not being filled it goes to `gc`.
function packs.add_live(id, live, total, delta)
  local key = fmt(id)
  live = live + delta
  if live <= 0 and not pack_uploading(id) then
    call('HDEL', P .. 'pk', key)
    call('ZREM', P .. 'pkdead', key)
    garbage.add(id, total)
    return
  end
  call('HSET', P .. 'pk', key, struct.pack('<I8I8', live, total))
  call('ZADD', P .. 'pkdead', math.max(total - live, 0), key)
end
