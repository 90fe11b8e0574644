-- Points the records of inline slices at their bytes in a stored pack, and frees the inline bytes. A record that is gone
-- was overwritten or deleted meanwhile: its bytes are dead in the pack. Records are right one by one; version and times
-- stay. Guard: the pack must still be recorded with this session, or its object may be gone.
-- Returns {'OK', slices found, inline bytes of the volume}. Errors: ESTALE.
--@shrinks
--@needs core mutate usage map packs slices
local pack, pack_bytes = arg.pack_id, arg.pack_bytes
if not call('ZSCORE', P .. 'pkup', pack .. ':' .. mutate.sid) then return { 'ESTALE' } end

slices.unsettle({ pack })
local order, wanted = {}, {}
for at = 1, #arg.swaps, 24 do
  local ino, chunk, id, offset = struct.unpack('<I8I4I8I4', arg.swaps, at)
  local key = fmt(ino) .. ':' .. chunk
  if not wanted[key] then
    wanted[key] = { ino = fmt(ino), chunk = chunk, offsets = {} }
    order[#order + 1] = wanted[key]
  end
  wanted[key].offsets[id] = offset
end

-- Rewrites the wanted records of one chunk: slice id -> {count, bytes covered, slice size}.
local function swap_chunk(group)
  local key = map.key(group.ino, group.chunk)
  local packed = call('GET', key) or ''
  local swapped = {}
  for at = 1, #packed, SLICE_RECORD_BYTES do
    local _, id, size, off, len = struct.unpack(SLICE_RECORD_FORMAT, packed, at)
    local offset = group.offsets[id]
    if offset and size >= INLINE_BIT then
      call('SETRANGE', key, at - 1 + 4, struct.pack('<I8I4I4', tonumber(pack), pack_bytes, offset + off))
      local found = swapped[id] or { count = 0, len = 0, size = size - INLINE_BIT }
      found.count, found.len = found.count + 1, found.len + len
      swapped[id] = found
    end
  end
  return swapped
end

local count, live, freed = 0, 0, 0
for _, group in ipairs(order) do
  for id, found in pairs(swap_chunk(group)) do
    local key = fmt(id)
    local extra = tonumber(call('HGET', P .. 'ref', key) or '0') - found.count
    if extra >= 0 and call('HEXISTS', P .. 'ref', key) == 1 then
      if extra > 0 then call('HSET', P .. 'ref', key, fmt(extra)) else call('HDEL', P .. 'ref', key) end
    else
      call('HDEL', P .. 'ref', key)
      call('UNLINK', P .. 'b' .. key)
      freed = freed + found.size
    end
    call('ZREM', P .. 'inq', slices.queued(id, group.ino, group.chunk, found.size))
    count, live = count + 1, live + found.len
  end
end
local before = call('HGET', P .. 'pk', pack)
packs.add_live(tonumber(pack), before and struct.unpack('<I8', before) or 0, pack_bytes, live)
usage.add_inline(-freed)
return mutate.finish({ 'OK', count, usage.inline() })
