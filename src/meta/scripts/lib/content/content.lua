-- Changes of a whole file's content: its version, size and holes.
--@needs core times usage map slices space previous
local content = {}

-- The content changed now, by a caller whose time counts: version, mtime and ctime.
function content.changed(a)
  a.version = a.version + 1
  times.content(a)
end

-- Sets a file's size (truncate and extend): frees what is behind it, counts used bytes, bumps the version. Changes
-- a.size and a.version; times, attr_set and stale_inode are the caller's. Answers whether the size changed.
function content.resize(ino, a, size)
  if size == a.size then return false end
  if size == 0 then previous.keep(ino, a) end
  local before = space.allocated(a)
  local function cut_off()
    local cut = size % CHUNK_BYTES
    local first = math.floor(size / CHUNK_BYTES)
    if cut > 0 then
      slices.trim(ino, first, cut)
      first = first + 1
    end
    slices.drop_range(ino, first, math.floor((a.size - 1) / CHUNK_BYTES))
  end
  if size > space.block_up(a.size) then
    space.make_sparse(a)
  elseif size < a.size and has(a.flags, FLAG_SPARSE) then
    space.recount(ino, a, size, a.size, cut_off)
    a.alloc = math.min(a.alloc, space.block_up(size))
    if size == 0 then a.flags = a.flags - FLAG_SPARSE end
  elseif size < a.size then
    cut_off()
  end
  a.size = size
  usage.add(space.allocated(a) - before)
  a.version = a.version + 1
  return true
end

-- Makes [from, to) of a file read as zeros: whole chunks lose their records, the others get a zero record.
function content.zero(ino, from, to)
  if from >= to then return end
  local first, last = math.floor(from / CHUNK_BYTES), math.floor((to - 1) / CHUNK_BYTES)
  local low, high = from - first * CHUNK_BYTES, to - last * CHUNK_BYTES
  local function part(chunk, a, b)
    if a == 0 and b == CHUNK_BYTES then
      slices.drop_chunk(ino, chunk)
    elseif call('EXISTS', map.key(ino, chunk)) == 1 then
      slices.append(ino, chunk, slices.zero(a, b - a))
    end
  end
  if first == last then return part(first, low, high) end
  part(first, low, CHUNK_BYTES)
  part(last, 0, high)
  slices.drop_range(ino, first + 1, last - 1)
end
