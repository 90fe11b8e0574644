-- Included (after core, mutate, map and slices) by scripts that make written pieces part of a file.
-- A piece on the wire is <I4 chunk and a record; an inline one has slice id 0, the inline bit and its bytes apart.
local PIECE_BYTES = 28

local function pieces_parse(packed)
  local pieces, inline = {}, 0
  for at = 1, #packed, PIECE_BYTES do
    local chunk, pos, id, size, off, len = struct.unpack('<I4I4I8I4I4I4', packed, at)
    local piece = { chunk = chunk, pos = pos, id = id, size = size, off = off, len = len }
    if id == 0 and size >= INLINE_BIT then
      inline = inline + 1
      piece.inline = inline
    end
    pieces[#pieces + 1] = piece
  end
  return pieces
end

-- Moves a run that was described from offset 0 to `base`; what crosses a chunk's end becomes two pieces.
local function pieces_shift(pieces, base)
  local moved = {}
  for _, piece in ipairs(pieces) do
    local from, off, left = piece.chunk * CHUNK + piece.pos + base, piece.off, piece.len
    while left > 0 do
      local pos = from % CHUNK
      local len = math.min(left, CHUNK - pos)
      moved[#moved + 1] = { chunk = math.floor(from / CHUNK), pos = pos, id = piece.id, size = piece.size, off = off,
        len = len, inline = piece.inline }
      from, off, left = from + len, off + len, left - len
    end
  end
  return moved
end

-- File offset behind the last piece.
local function pieces_end(pieces)
  local last = 0
  for _, piece in ipairs(pieces) do last = math.max(last, piece.chunk * CHUNK + piece.pos + piece.len) end
  return last
end

-- Appends the pieces' records, keeps inline bytes (argv[first] is the first inline piece's) under fresh ids and queues
-- them for the packer. Answers the packed ids of inline pieces, the bytes they take, and <I4I4 chunk, record count.
local function pieces_store(ino, pieces, argv, first)
  local inline_count = 0
  for _, piece in ipairs(pieces) do
    if piece.inline then inline_count = math.max(inline_count, piece.inline) end
  end
  local base = inline_count > 0 and new_slices(inline_count) or 0
  local ids, bytes = {}, 0
  for i = 1, inline_count do
    local content = argv[first + i - 1]
    call('SET', P .. 'b' .. fmt(base + i - 1), content)
    ids[i] = struct.pack('<I8', base + i - 1)
    bytes = bytes + #content
  end
  local order, records, uses = {}, {}, {}
  for _, piece in ipairs(pieces) do
    local id = piece.inline and base + piece.inline - 1 or piece.id
    if not records[piece.chunk] then
      records[piece.chunk] = {}
      order[#order + 1] = piece.chunk
    end
    local list = records[piece.chunk]
    list[#list + 1] = struct.pack(RECORD, piece.pos, id, piece.size, piece.off, piece.len)
    if id ~= 0 then uses[id] = (uses[id] or 0) + 1 end
    if piece.inline then
      call('ZADD', P .. 'inq', NOW_MS, inq_member(id, ino, piece.chunk, piece.size - INLINE_BIT))
    end
  end
  for id, count in pairs(uses) do
    if count > 1 then call('HSET', P .. 'ref', fmt(id), count - 1) end
  end
  local counts = {}
  for i, chunk in ipairs(order) do
    counts[i] = struct.pack('<I4I4', chunk, chunk_append(ino, chunk, table.concat(records[chunk])))
  end
  inline_add(bytes)
  return table.concat(ids), bytes, table.concat(counts)
end

-- How long ago a write may lie whose time this client has shown as ctime, microseconds.
local SHOWN_US = 1000000

-- Times of a commit whose last write was at (sec, nsec), server time, never in the future.
-- mtime: the write's time, but a utimens that came after the write wins; a write after a utimens wins over it; otherwise
-- it goes forward. ctime: now, for that is when others see the change; the write's time when the client has shown it
-- (`shown`) and it is recent, so that what fstat said before close(2) still holds after it.
local function commit_times(a, sec, nsec, shown)
  if sec > NOW_S or (sec == NOW_S and nsec > NOW_N) then sec, nsec = NOW_S, NOW_N end
  local us = sec * 1000000 + math.floor(nsec / 1000)
  if a.set_us <= us then
    if a.set_us == 0 then a.ms, a.mn = time_after(sec, nsec, a.ms, a.mn) else a.ms, a.mn = sec, nsec end
    a.set_us = 0
  end
  if not shown or NOW_US - us > SHOWN_US then sec, nsec = NOW_S, NOW_N end
  a.cs, a.cn = time_after(sec, nsec, a.cs, a.cn)
end
