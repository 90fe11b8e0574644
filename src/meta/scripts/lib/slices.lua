-- Included (after core, mutate, map and space) by scripts that add or take away slice records.
--
--   b<id>           bytes of an inline slice
--   inq             zset of inline slices by age: score = commit ms, member = <I8I8I4I4> id, ino, chunk, size
--   ref             hash: slice id -> number of records beyond the first (stored and inline slices, not packs)
--   pk              hash: pack id -> <I8I8> live bytes (sum of its records' lengths), size
--   pkdead          zset: pack id by dead bytes
--   pkup            zset: `pack:session` being uploaded, by deadline
--   gc              zset: `id:size` of stored slices without a record, by the time they may be deleted
--   n               counters `bytes` (what files take) and `inline` (bytes held in b<id>)
--
-- Every record is one reference. Content changes bump the version; moving bytes (packing, compaction) does not.
-- Chunks dropped at once in the calling script; more are handed to an unnamed inode that `reap` frees in steps.
local DROP_CHUNKS = 256
-- A chunk of more records is truncated by a zero record instead of being rewritten.
local TRIM_RECORDS = 1000
local BATCH = 500

-- Appends packed records; answers how many the chunk has now.
local function chunk_append(ino, chunk, packed)
  local bytes = call('APPEND', chunk_key(ino, chunk), packed)
  if bytes == #packed and chunk >= 1 then call('ZADD', P .. 'k' .. ino, chunk, chunk) end
  return bytes / RECORD_BYTES
end

local function chunk_store(ino, chunk, packed)
  if packed == '' then
    call('DEL', chunk_key(ino, chunk))
    if chunk >= 1 then call('ZREM', P .. 'k' .. ino, chunk) end
  else
    call('SET', chunk_key(ino, chunk), packed)
  end
end

local function inq_member(id, ino, chunk, size)
  return struct.pack('<I8I8I4I4', id, tonumber(ino), chunk, size)
end

local function gc_add(id, size)
  call('ZADD', P .. 'gc', NOW_MS + tonumber(call('HGET', P .. 'n', 'gcMs') or '120000'), fmt(id) .. ':' .. fmt(size))
end

local function used_add(bytes)
  if bytes ~= 0 then call('HINCRBY', P .. 'n', 'bytes', fmt(bytes)) end
end

local function inline_add(bytes)
  if bytes ~= 0 then call('HINCRBY', P .. 'n', 'inline', fmt(bytes)) end
end

-- Bytes kept inline in the whole volume, for replies.
local function inline_total()
  return call('HGET', P .. 'n', 'inline') or '0'
end

local function pack_uploading(id)
  local low = fmt(id) .. ':'
  for _, member in ipairs(call('ZRANGE', P .. 'pkup', 0, -1)) do
    if string.sub(member, 1, #low) == low then return true end
  end
  return false
end

-- The pack's records cover `delta` bytes more (or fewer). Without live bytes and not being filled it goes to `gc`.
local function pack_live_add(id, live, total, delta)
  local key = fmt(id)
  live = live + delta
  if live <= 0 and not pack_uploading(id) then
    call('HDEL', P .. 'pk', key)
    call('ZREM', P .. 'pkdead', key)
    gc_add(id, total)
    return
  end
  call('HSET', P .. 'pk', key, struct.pack('<I8I8', live, total))
  call('ZADD', P .. 'pkdead', math.max(total - live, 0), key)
end

-- Looks up `field(item)` of every item in a hash, in batches. Answers a list of value or false.
local function hash_of(key, list, field)
  local values = {}
  for from = 1, #list, BATCH do
    local fields = {}
    for i = from, math.min(from + BATCH - 1, #list) do fields[#fields + 1] = field(list[i]) end
    local found = call('HMGET', key, unpack(fields))
    for i = 1, #fields do values[from + i - 1] = found[i] end
  end
  return values
end

-- Sums records {id, size (with inline bit), len} by slice: list of {id, size, inline, count, len}.
local function by_slice(records)
  local list, at = {}, {}
  for _, record in ipairs(records) do
    local id = record[1]
    if id ~= 0 then
      local slice = at[id]
      if not slice then
        local inline = record[2] >= INLINE_BIT
        slice = { id = id, size = inline and record[2] - INLINE_BIT or record[2], inline = inline, count = 0, len = 0 }
        at[id] = slice
        list[#list + 1] = slice
      end
      slice.count = slice.count + 1
      slice.len = slice.len + record[3]
    end
  end
  return list, at
end

local function key_of(slice)
  return fmt(slice.id)
end

-- All records of a packed chunk value as {id, size, len}.
local function records_of(packed)
  local records = {}
  for at = 1, #packed, RECORD_BYTES do
    local _, id, size, _, len = struct.unpack(RECORD, packed, at)
    records[#records + 1] = { id, size, len }
  end
  return records
end

-- References go away: `records` left a chunk whose value is now `rest`. Slices without a reference are freed: inline
-- bytes at once, stored slices and packs after the grace period.
local function slices_release(ino, chunk, records, rest)
  local slices = by_slice(records)
  if #slices == 0 then return end
  local refs = hash_of(P .. 'ref', slices, key_of)
  local packs = hash_of(P .. 'pk', slices, key_of)
  local _, remaining = by_slice(rest == '' and {} or records_of(rest))
  local freed = 0
  for i, slice in ipairs(slices) do
    local key = key_of(slice)
    if packs[i] then
      local live, total = struct.unpack('<I8I8', packs[i])
      pack_live_add(slice.id, live, total, -slice.len)
    else
      local extra = tonumber(refs[i] or '0') - slice.count
      if extra >= 0 and refs[i] then
        if extra > 0 then call('HSET', P .. 'ref', key, fmt(extra)) else call('HDEL', P .. 'ref', key) end
      elseif slice.inline then
        if refs[i] then call('HDEL', P .. 'ref', key) end
        call('UNLINK', P .. 'b' .. key)
        freed = freed + slice.size
      else
        if refs[i] then call('HDEL', P .. 'ref', key) end
        gc_add(slice.id, slice.size)
      end
      if slice.inline and not remaining[slice.id] then
        call('ZREM', P .. 'inq', inq_member(slice.id, ino, chunk, slice.size))
      end
    end
  end
  inline_add(-freed)
end

-- References come: records {id, size, len} that name slices which already have records elsewhere go into a chunk.
local function slices_share(ino, chunk, records)
  local slices = by_slice(records)
  local packs = hash_of(P .. 'pk', slices, key_of)
  for i, slice in ipairs(slices) do
    if packs[i] then
      local live, total = struct.unpack('<I8I8', packs[i])
      pack_live_add(slice.id, live, total, slice.len)
    else
      call('HINCRBY', P .. 'ref', key_of(slice), slice.count)
      if slice.inline then call('ZADD', P .. 'inq', 'NX', NOW_MS, inq_member(slice.id, ino, chunk, slice.size)) end
    end
  end
end

local function chunk_drop(ino, chunk)
  local packed = chunk_records(ino, chunk)
  if packed == '' then return 0 end
  chunk_store(ino, chunk, '')
  slices_release(ino, chunk, records_of(packed), '')
  return #packed / RECORD_BYTES
end

-- Inline slices under a chunk that changes its owner stay in the packer's queue under the new one.
local function chunk_move(ino, chunk, new_ino)
  local packed = chunk_records(ino, chunk)
  call('RENAME', chunk_key(ino, chunk), chunk_key(new_ino, chunk))
  if chunk >= 1 then
    call('ZREM', P .. 'k' .. ino, chunk)
    call('ZADD', P .. 'k' .. new_ino, chunk, chunk)
  end
  for at = 1, #packed, RECORD_BYTES do
    local _, id, size = struct.unpack(RECORD, packed, at)
    if size >= INLINE_BIT then
      local score = call('ZSCORE', P .. 'inq', inq_member(id, ino, chunk, size - INLINE_BIT))
      if score then
        call('ZREM', P .. 'inq', inq_member(id, ino, chunk, size - INLINE_BIT))
        call('ZADD', P .. 'inq', score, inq_member(id, new_ino, chunk, size - INLINE_BIT))
      end
    end
  end
end

-- An inode no name and no session reaches, which `reap` frees step by step; takes chunks that are too many for now.
local function make_waste()
  local waste = new_ino()
  local a = { mode = S_IFREG, uid = 0, gid = 0, nlink = 0, size = 0, rdev = 0, flags = 0, as = 0, an = 0, ms = 0,
    mn = 0, cs = NOW_S, cn = NOW_N, bs = NOW_S, bn = NOW_N, parent = 1, version = 0, set_us = 0, alloc = 0 }
  attr_set(waste, a)
  call('HINCRBY', P .. 'n', 'inodes', 1)
  call('ZADD', P .. 'del', NOW_MS, waste)
  return waste
end

-- Drops all records of chunks first..last (numbers). Inline bytes are freed at once; stored slices without another
-- record wait in `gc`. ino is a string.
local function slices_drop(ino, first, last)
  local chunks = chunks_between(ino, first, last, DROP_CHUNKS)
  for _, chunk in ipairs(chunks) do chunk_drop(ino, chunk) end
  if #chunks < DROP_CHUNKS then return end
  local waste
  repeat
    chunks = chunks_between(ino, first, last, 5000)
    for _, chunk in ipairs(chunks) do
      if not waste then waste = make_waste() end
      chunk_move(ino, chunk, waste)
    end
  until #chunks == 0
end

local function zero_record(pos, len)
  return struct.pack(RECORD, pos, 0, len, 0, len)
end

-- Takes bytes [cut, CHUNK) of a chunk away: records behind the cut go, the one across it gets shorter.
local function chunk_trim(ino, chunk, cut)
  local packed = chunk_records(ino, chunk)
  if packed == '' then return end
  if #packed > TRIM_RECORDS * RECORD_BYTES then
    chunk_append(ino, chunk, zero_record(cut, CHUNK - cut))
    return
  end
  local kept, gone, changed = {}, {}, false
  for at = 1, #packed, RECORD_BYTES do
    local pos, id, size, off, len = struct.unpack(RECORD, packed, at)
    if pos + len <= cut then
      kept[#kept + 1] = string.sub(packed, at, at + RECORD_BYTES - 1)
    else
      changed = true
      if pos >= cut then
        gone[#gone + 1] = { id, size, len }
      else
        -- A shorter record is the old reference given up and a new one taken; only packs count bytes.
        kept[#kept + 1] = struct.pack(RECORD, pos, id, size, off, cut - pos)
        local pack = id ~= 0 and call('HGET', P .. 'pk', fmt(id))
        if pack then
          local live, total = struct.unpack('<I8I8', pack)
          pack_live_add(id, live, total, cut - pos - len)
        end
      end
    end
  end
  if not changed then return end
  local rest = table.concat(kept)
  chunk_store(ino, chunk, rest)
  slices_release(ino, chunk, gone, rest)
end

-- The content changed now, by a caller whose time counts: version, mtime and ctime.
local function content_changed(a)
  a.version = a.version + 1
  touch_content(a)
end

-- Sets a file's size (truncate and extend): frees what is behind it, counts used bytes, bumps the version. Changes
-- a.size and a.version; times, attr_set and stale_inode are the caller's. Answers whether the size changed.
local function content_resize(ino, a, size)
  if size == a.size then return false end
  local before = allocated(a)
  local function cut_off()
    local cut = size % CHUNK
    local first = math.floor(size / CHUNK)
    if cut > 0 then
      chunk_trim(ino, first, cut)
      first = first + 1
    end
    slices_drop(ino, first, math.floor((a.size - 1) / CHUNK))
  end
  if size > block_up(a.size) then
    make_sparse(a)
  elseif size < a.size and has(a.flags, F_SPARSE) then
    recount(ino, a, size, a.size, cut_off)
    a.alloc = math.min(a.alloc, block_up(size))
    if size == 0 then a.flags = a.flags - F_SPARSE end
  elseif size < a.size then
    cut_off()
  end
  a.size = size
  used_add(allocated(a) - before)
  a.version = a.version + 1
  return true
end

-- Makes [from, to) of a file read as zeros: whole chunks lose their records, the others get a zero record.
local function content_zero(ino, from, to)
  if from >= to then return end
  local first, last = math.floor(from / CHUNK), math.floor((to - 1) / CHUNK)
  local low, high = from - first * CHUNK, to - last * CHUNK
  local function part(chunk, a, b)
    if a == 0 and b == CHUNK then
      chunk_drop(ino, chunk)
    elseif call('EXISTS', chunk_key(ino, chunk)) == 1 then
      chunk_append(ino, chunk, zero_record(a, b - a))
    end
  end
  if first == last then return part(first, low, high) end
  part(first, low, CHUNK)
  part(last, 0, high)
  slices_drop(ino, first + 1, last - 1)
end
