-- Reading slice maps.
--
--   s<ino>:<chunk>  records of 24 bytes in commit order: pos, slice id, slice size (bit 31: inline), offset, length;
--                   a later record hides what it overlaps, slice 0 is zeros, what no record covers is a hole
--   k<ino>          zset of the chunks >= 1 that have records (score = member = chunk), so that nothing walks holes
--@needs core
local map = {}

function map.key(ino, chunk)
  return P .. 's' .. ino .. ':' .. chunk
end

function map.records(ino, chunk)
  return call('GET', map.key(ino, chunk)) or ''
end

-- Existing chunks in [first, last] in order, at most `limit`.
function map.chunks(ino, first, last, limit)
  local found = {}
  if first == 0 and last >= 0 and call('EXISTS', map.key(ino, 0)) == 1 then found[1] = 0 end
  if last >= 1 then
    for _, chunk in ipairs(call('ZRANGEBYSCORE', P .. 'k' .. ino, math.max(first, 1), last, 'LIMIT', 0, limit)) do
      found[#found + 1] = tonumber(chunk)
    end
  end
  return found
end

-- What the records of a chunk show within [from, to): a list, by position, of {pos, len, id, size, off}. Slice 0 is
-- zeros; holes are left out. Cost: records x pieces.
function map.visible(packed, from, to)
  local open = { { from, to } }
  local shown = {}
  for at = #packed - SLICE_RECORD_BYTES + 1, 1, -SLICE_RECORD_BYTES do
    if #open == 0 then break end
    local pos, id, size, off, len = struct.unpack(SLICE_RECORD_FORMAT, packed, at)
    if pos < to and pos + len > from then
      local still = {}
      for _, range in ipairs(open) do
        local low, high = math.max(range[1], pos), math.min(range[2], pos + len)
        if low < high then
          shown[#shown + 1] = { low, high - low, id, size, off + low - pos }
          if range[1] < low then still[#still + 1] = { range[1], low } end
          if high < range[2] then still[#still + 1] = { high, range[2] } end
        else
          still[#still + 1] = range
        end
      end
      open = still
    end
  end
  table.sort(shown, function(x, y) return x[1] < y[1] end)
  return shown
end

-- Records of `count` chunks from `first`, and the inline bytes they name, latest records first, as long as they fit.
-- Answers a list of packed chunks, the packed ids (<I8 each) and the bytes in the order of the ids.
function map.run(ino, first, count, inline_max)
  local chunks, ids, bytes, seen = {}, {}, {}, {}
  for i = 1, count do
    local packed = map.records(ino, first + i - 1)
    chunks[i] = packed
    for at = #packed - SLICE_RECORD_BYTES + 1, 1, -SLICE_RECORD_BYTES do
      local _, id, size = struct.unpack(SLICE_RECORD_FORMAT, packed, at)
      if size >= INLINE_BIT and size - INLINE_BIT <= inline_max and not seen[id] and #ids < 4000 then
        seen[id] = true
        local kept = call('GET', P .. 'b' .. fmt(id))
        if kept then
          inline_max = inline_max - #kept
          ids[#ids + 1] = struct.pack('<I8', id)
          bytes[#bytes + 1] = kept
        end
      end
    end
  end
  return chunks, table.concat(ids), bytes
end
