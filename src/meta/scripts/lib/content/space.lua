-- How much room a file takes.
--
-- A file without FLAG_SPARSE has data in each of its blocks: it takes its size, rounded up, and nothing needs counting.
-- Whatever makes a hole of a whole block sets the flag; from then on a.alloc counts the bytes of blocks with data, by
-- looking at the records of the range that changes, before and after.
--@needs core attrs map
local space = {}

-- Chunks whose records one script looks at for counting. Beyond it the count is kept as an upper bound.
local COUNT_CHUNKS = 256

function space.block_down(offset)
  return math.floor(offset / ALLOCATION_BYTES) * ALLOCATION_BYTES
end

function space.block_up(offset)
  return math.ceil(offset / ALLOCATION_BYTES) * ALLOCATION_BYTES
end

-- Bytes that an inode takes.
function space.allocated(a)
  if bit.band(a.mode, S_IFMT) ~= S_IFREG then return attrs.is_dir(a) and 0 or a.size end
  return has(a.flags, FLAG_SPARSE) and a.alloc or space.block_up(a.size)
end

-- Bytes of blocks with data in [from, to) of a chunk; both are multiples of BLOCK.
local function chunk_allocated(ino, chunk, from, to)
  local blocks, last = 0, -1
  for _, piece in ipairs(map.visible(map.records(ino, chunk), from, to)) do
    if piece[3] ~= 0 then
      local first = math.max(math.floor(piece[1] / ALLOCATION_BYTES), last + 1)
      local stop = math.ceil((piece[1] + piece[2]) / ALLOCATION_BYTES) - 1
      if stop >= first then blocks, last = blocks + stop - first + 1, stop end
    end
  end
  return blocks * ALLOCATION_BYTES
end

-- The same of a file's range, rounded to blocks outwards; nil when that is too much to look at.
local function range_allocated(ino, from, to)
  from, to = space.block_down(from), space.block_up(to)
  if from >= to then return 0 end
  local chunks = map.chunks(ino, math.floor(from / CHUNK_BYTES), math.floor((to - 1) / CHUNK_BYTES), COUNT_CHUNKS + 1)
  if #chunks > COUNT_CHUNKS then return nil end
  local bytes = 0
  for _, chunk in ipairs(chunks) do
    local base = chunk * CHUNK_BYTES
    bytes = bytes + chunk_allocated(ino, chunk, math.max(from - base, 0), math.min(to - base, CHUNK_BYTES))
  end
  return bytes
end

-- The file is about to get a hole: its blocks are counted from now on. Call it while a.size is still the old one.
function space.make_sparse(a)
  if has(a.flags, FLAG_SPARSE) then return end
  a.alloc = space.block_up(a.size)
  a.flags = a.flags + FLAG_SPARSE
end

-- Runs `change`, which alters the records of [from, to), and keeps a.alloc right. The file is sparse.
function space.recount(ino, a, from, to, change)
  local before = range_allocated(ino, from, to)
  change()
  if before then a.alloc = math.max(0, a.alloc - before + range_allocated(ino, from, to)) end
end

-- Bytes in pieces {chunk, pos, len} are about to be written: tells whether they leave a hole, and counts their blocks.
-- Before the records are stored and before a.size changes.
function space.count_pieces(ino, a, list)
  local order = {}
  for i, piece in ipairs(list) do order[i] = piece end
  table.sort(order, function(x, y) return x.chunk * CHUNK_BYTES + x.pos < y.chunk * CHUNK_BYTES + y.pos end)
  local edge = space.block_up(a.size)
  for _, piece in ipairs(order) do
    local from = piece.chunk * CHUNK_BYTES + piece.pos
    if space.block_down(from) > edge then space.make_sparse(a) end
    edge = math.max(edge, space.block_up(from + piece.len))
  end
  if not has(a.flags, FLAG_SPARSE) then return end
  local counted = -1
  for _, piece in ipairs(order) do
    local from = piece.chunk * CHUNK_BYTES + piece.pos
    local low, high = math.max(space.block_down(from), counted), space.block_up(from + piece.len)
    if low < high then
      a.alloc = a.alloc + high - low - range_allocated(ino, low, high)
      counted = high
    end
  end
end
