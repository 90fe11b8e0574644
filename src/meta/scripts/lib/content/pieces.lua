-- Making written pieces part of a file.
-- A piece on the wire is <I4 chunk and a record; an inline one has slice id 0, the inline bit and its bytes apart.
--@needs core now fresh usage slices
local pieces = {}

function pieces.parse(packed)
  local list, inline = {}, 0
  for at = 1, #packed, PIECE_BYTES do
    local chunk, pos, id, size, off, len = struct.unpack(PIECE_FORMAT, packed, at)
    local piece = { chunk = chunk, pos = pos, id = id, size = size, off = off, len = len }
    if id == 0 and size >= INLINE_BIT then
      inline = inline + 1
      piece.inline = inline
    end
    list[#list + 1] = piece
  end
  return list
end

-- Moves a run that was described from offset 0 to `base`; what crosses a chunk's end becomes two pieces.
function pieces.shift(list, base)
  local moved = {}
  for _, piece in ipairs(list) do
    local from, off, left = piece.chunk * CHUNK_BYTES + piece.pos + base, piece.off, piece.len
    while left > 0 do
      local pos = from % CHUNK_BYTES
      local len = math.min(left, CHUNK_BYTES - pos)
      moved[#moved + 1] = { chunk = math.floor(from / CHUNK_BYTES), pos = pos, id = piece.id, size = piece.size,
        off = off, len = len, inline = piece.inline }
      from, off, left = from + len, off + len, left - len
    end
  end
  return moved
end

-- File offset behind the last piece.
function pieces.stop(list)
  local last = 0
  for _, piece in ipairs(list) do last = math.max(last, piece.chunk * CHUNK_BYTES + piece.pos + piece.len) end
  return last
end

-- Appends the pieces' records, keeps inline bytes (ARGV[first] is the first inline piece's) under fresh ids and queues
-- them for the packer. Answers the packed ids of inline pieces, the bytes they take, and <I4I4 chunk, record count.
function pieces.store(ino, list, first)
  local inline_count = 0
  for _, piece in ipairs(list) do
    if piece.inline then inline_count = math.max(inline_count, piece.inline) end
  end
  local base = inline_count > 0 and fresh.slices(inline_count) or 0
  local ids, bytes, counted = {}, 0, {}
  for i = 1, inline_count do
    local kept = ARGV[first + i - 1]
    call('SET', P .. 'b' .. fmt(base + i - 1), kept)
    ids[i] = struct.pack('<I8', base + i - 1)
  end
  local order, records, uses = {}, {}, {}
  for _, piece in ipairs(list) do
    local id = piece.inline and base + piece.inline - 1 or piece.id
    if not records[piece.chunk] then
      records[piece.chunk] = {}
      order[#order + 1] = piece.chunk
    end
    local packed = records[piece.chunk]
    packed[#packed + 1] = struct.pack(SLICE_RECORD_FORMAT, piece.pos, id, piece.size, piece.off, piece.len)
    if id ~= 0 then uses[id] = (uses[id] or 0) + 1 end
    if piece.inline then
      -- What is kept is longer than the bytes where the volume is encrypted; counted are the bytes.
      if not counted[piece.inline] then bytes = bytes + piece.size - INLINE_BIT end
      counted[piece.inline] = true
      call('ZADD', P .. 'inq', now.ms, slices.queued(id, ino, piece.chunk, piece.size - INLINE_BIT))
    end
  end
  local several = {}
  for id, count in pairs(uses) do
    if count > 1 then
      call('HSET', P .. 'ref', fmt(id), count - 1)
      several[#several + 1] = fmt(id)
    end
  end
  slices.unsettle(several)
  local counts = {}
  for i, chunk in ipairs(order) do
    counts[i] = struct.pack('<I4I4', chunk, slices.append(ino, chunk, table.concat(records[chunk])))
  end
  usage.add_inline(bytes)
  return table.concat(ids), bytes, table.concat(counts)
end
