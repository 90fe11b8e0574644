-- Included (after core and map, before slices) by scripts that change or tell how much room a file takes.
--
-- A file without F_SPARSE has data in each of its blocks: it takes its size, rounded up, and nothing needs counting.
-- Whatever makes a hole of a whole block sets the flag; from then on a.alloc counts the bytes of blocks with data, by
-- looking at the records of the range that changes, before and after.
local F_SPARSE = 64
local BLOCK = 4096
-- Chunks whose records one script looks at for counting. Beyond it the count is kept as an upper bound.
local COUNT_CHUNKS = 256

local function block_down(offset)
  return math.floor(offset / BLOCK) * BLOCK
end

local function block_up(offset)
  return math.ceil(offset / BLOCK) * BLOCK
end

-- Bytes that an inode takes.
local function allocated(a)
  if bit.band(a.mode, S_IFMT) ~= S_IFREG then return is_dir(a) and 0 or a.size end
  return has(a.flags, F_SPARSE) and a.alloc or block_up(a.size)
end

-- Bytes of blocks with data in [from, to) of a chunk; both are multiples of BLOCK.
local function chunk_allocated(ino, chunk, from, to)
  local blocks, last = 0, -1
  for _, piece in ipairs(map_visible(chunk_records(ino, chunk), from, to)) do
    if piece[3] ~= 0 then
      local first = math.max(math.floor(piece[1] / BLOCK), last + 1)
      local stop = math.ceil((piece[1] + piece[2]) / BLOCK) - 1
      if stop >= first then blocks, last = blocks + stop - first + 1, stop end
    end
  end
  return blocks * BLOCK
end

-- The same of a file's range, rounded to blocks outwards; nil when that is too much to look at.
local function range_allocated(ino, from, to)
  from, to = block_down(from), block_up(to)
  if from >= to then return 0 end
  local chunks = chunks_between(ino, math.floor(from / CHUNK), math.floor((to - 1) / CHUNK), COUNT_CHUNKS + 1)
  if #chunks > COUNT_CHUNKS then return nil end
  local bytes = 0
  for _, chunk in ipairs(chunks) do
    local base = chunk * CHUNK
    bytes = bytes + chunk_allocated(ino, chunk, math.max(from - base, 0), math.min(to - base, CHUNK))
  end
  return bytes
end

-- The file is about to get a hole: its blocks are counted from now on. Call it while a.size is still the old one.
local function make_sparse(a)
  if has(a.flags, F_SPARSE) then return end
  a.alloc = block_up(a.size)
  a.flags = a.flags + F_SPARSE
end

-- Runs `change`, which alters the records of [from, to), and keeps a.alloc right. The file is sparse.
local function recount(ino, a, from, to, change)
  local before = range_allocated(ino, from, to)
  change()
  if before then a.alloc = math.max(0, a.alloc - before + range_allocated(ino, from, to)) end
end

-- Bytes in pieces {chunk, pos, len} are about to be written: tells whether they leave a hole, and counts their blocks.
-- Before the records are stored and before a.size changes.
local function pieces_count(ino, a, pieces)
  local order = {}
  for i, piece in ipairs(pieces) do order[i] = piece end
  table.sort(order, function(x, y) return x.chunk * CHUNK + x.pos < y.chunk * CHUNK + y.pos end)
  local edge = block_up(a.size)
  for _, piece in ipairs(order) do
    local from = piece.chunk * CHUNK + piece.pos
    if block_down(from) > edge then make_sparse(a) end
    edge = math.max(edge, block_up(from + piece.len))
  end
  if not has(a.flags, F_SPARSE) then return end
  local counted = -1
  for _, piece in ipairs(order) do
    local from = piece.chunk * CHUNK + piece.pos
    local low, high = math.max(block_down(from), counted), block_up(from + piece.len)
    if low < high then
      a.alloc = a.alloc + high - low - range_allocated(ino, low, high)
      counted = high
    end
  end
end
