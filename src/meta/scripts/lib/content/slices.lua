-- Adding and taking away slice records, and the references they are.
--
--   b<id>           bytes of an inline slice
--   inq             zset of inline slices by age: score = commit ms, member = <I8I8I4I4> id, ino, chunk, size
--   ref             hash: slice id -> number of records beyond the first (stored and inline slices, not packs)
--   shared          set: slices that got records elsewhere, or went for good, while a tool walks the volume (lease `scan`): it
--                   may have seen some of them, or none, and concludes nothing from that
--
-- Every record is one reference. Content changes bump the version; moving bytes (packing, compaction) does not.
--@needs core now attrs fresh usage garbage map packs
local slices = {}

-- Chunks dropped at once in the calling script; more are handed to an unnamed inode that `reap` frees in steps.
local DROP_CHUNKS = 256
-- A chunk of more records is truncated by a zero record instead of being rewritten.
local TRIM_RECORDS = 1000
local BATCH = 500

-- Appends packed records; answers how many the chunk has now.
function slices.append(ino, chunk, packed)
  local bytes = call('APPEND', map.key(ino, chunk), packed)
  if bytes == #packed and chunk >= 1 then call('ZADD', P .. 'k' .. ino, chunk, chunk) end
  return bytes / SLICE_RECORD_BYTES
end

function slices.store(ino, chunk, packed)
  if packed == '' then
    call('DEL', map.key(ino, chunk))
    if chunk >= 1 then call('ZREM', P .. 'k' .. ino, chunk) end
  else
    call('SET', map.key(ino, chunk), packed)
  end
end

function slices.queued(id, ino, chunk, size)
  return struct.pack('<I8I8I4I4', id, tonumber(ino), chunk, size)
end

-- Looks up `field(item)` of every item in a hash, in batches. Answers a list of value or false.
function slices.hash_of(key, list, field)
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
function slices.sums(records)
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

function slices.key(slice)
  return fmt(slice.id)
end

-- All records of a packed chunk value as {id, size, len}.
function slices.records(packed)
  local records = {}
  for at = 1, #packed, SLICE_RECORD_BYTES do
    local _, id, size, _, len = struct.unpack(SLICE_RECORD_FORMAT, packed, at)
    records[#records + 1] = { id, size, len }
  end
  return records
end

-- References go away: `records` left a chunk whose value is now `rest`. Slices without a reference are freed: inline
-- bytes at once, stored slices and packs after the grace period.
function slices.release(ino, chunk, records, rest)
  local sums = slices.sums(records)
  if #sums == 0 then return end
  local refs = slices.hash_of(P .. 'ref', sums, slices.key)
  local in_packs = slices.hash_of(P .. 'pk', sums, slices.key)
  local _, remaining = slices.sums(rest == '' and {} or slices.records(rest))
  local freed = 0
  for i, slice in ipairs(sums) do
    local key = slices.key(slice)
    if in_packs[i] then
      local live, total = struct.unpack('<I8I8', in_packs[i])
      packs.add_live(slice.id, live, total, -slice.len)
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
        garbage.add(slice.id, slice.size)
      end
      if slice.inline and not remaining[slice.id] then
        call('ZREM', P .. 'inq', slices.queued(slice.id, ino, chunk, slice.size))
      end
    end
  end
  usage.add_inline(-freed)
end

-- Of these slices a tool that walks the volume (lease `scan`) may see the records of two moments, or none.
function slices.unsettle(ids)
  if #ids == 0 or call('EXISTS', P .. 'lease:scan') == 0 then return end
  for _, id in ipairs(ids) do call('SADD', P .. 'shared', id) end
  call('EXPIRE', P .. 'shared', 86400)
end

-- References come: records {id, size, len} that name slices which already have records elsewhere go into a chunk.
function slices.share(ino, chunk, records)
  local sums = slices.sums(records)
  local ids = {}
  for i, slice in ipairs(sums) do ids[i] = slices.key(slice) end
  slices.unsettle(ids)
  local in_packs = slices.hash_of(P .. 'pk', sums, slices.key)
  for i, slice in ipairs(sums) do
    if in_packs[i] then
      local live, total = struct.unpack('<I8I8', in_packs[i])
      packs.add_live(slice.id, live, total, slice.len)
    else
      call('HINCRBY', P .. 'ref', slices.key(slice), slice.count)
      if slice.inline then call('ZADD', P .. 'inq', 'NX', now.ms, slices.queued(slice.id, ino, chunk, slice.size)) end
    end
  end
end

function slices.drop_chunk(ino, chunk)
  local packed = map.records(ino, chunk)
  if packed == '' then return 0 end
  slices.store(ino, chunk, '')
  slices.release(ino, chunk, slices.records(packed), '')
  return #packed / SLICE_RECORD_BYTES
end

-- Inline slices under a chunk that changes its owner stay in the packer's queue under the new one. A walk that has passed the
-- new place comes to the old one when it is gone.
local function chunk_move(ino, chunk, to)
  local packed = map.records(ino, chunk)
  local ids = {}
  call('RENAME', map.key(ino, chunk), map.key(to, chunk))
  if chunk >= 1 then
    call('ZREM', P .. 'k' .. ino, chunk)
    call('ZADD', P .. 'k' .. to, chunk, chunk)
  end
  for at = 1, #packed, SLICE_RECORD_BYTES do
    local _, id, size = struct.unpack(SLICE_RECORD_FORMAT, packed, at)
    if id ~= 0 then ids[#ids + 1] = fmt(id) end
    if size >= INLINE_BIT then
      local score = call('ZSCORE', P .. 'inq', slices.queued(id, ino, chunk, size - INLINE_BIT))
      if score then
        call('ZREM', P .. 'inq', slices.queued(id, ino, chunk, size - INLINE_BIT))
        call('ZADD', P .. 'inq', score, slices.queued(id, to, chunk, size - INLINE_BIT))
      end
    end
  end
  slices.unsettle(ids)
end

-- An inode no name and no session reaches, which `reap` frees step by step; takes chunks that are too many for now.
local function make_orphan()
  local orphan = fresh.inode()
  local a = { mode = S_IFREG, uid = 0, gid = 0, nlink = 0, size = 0, rdev = 0, flags = 0, as = 0, an = 0, ms = 0,
    mn = 0, cs = now.s, cn = now.ns, bs = now.s, bn = now.ns, parent = 1, version = 0, set_us = 0, alloc = 0 }
  attrs.set(orphan, a)
  call('HINCRBY', P .. 'n', 'inodes', 1)
  call('ZADD', P .. 'del', now.ms, orphan)
  return orphan
end

-- Drops all records of chunks first..last (numbers). Inline bytes are freed at once; stored slices without another
-- record wait in `gc`. ino is a string.
function slices.drop_range(ino, first, last)
  local chunks = map.chunks(ino, first, last, DROP_CHUNKS)
  for _, chunk in ipairs(chunks) do slices.drop_chunk(ino, chunk) end
  if #chunks < DROP_CHUNKS then return end
  local orphan
  repeat
    chunks = map.chunks(ino, first, last, 5000)
    for _, chunk in ipairs(chunks) do
      if not orphan then orphan = make_orphan() end
      chunk_move(ino, chunk, orphan)
    end
  until #chunks == 0
end

-- Gives all of a file's chunks to another inode.
function slices.move_all(ino, to)
  local chunks
  repeat
    chunks = map.chunks(ino, 0, FILE_BYTES_MAX / CHUNK_BYTES, 5000)
    for _, chunk in ipairs(chunks) do chunk_move(ino, chunk, to) end
  until #chunks == 0
end

function slices.zero(pos, len)
  return struct.pack(SLICE_RECORD_FORMAT, pos, 0, len, 0, len)
end

-- Takes bytes [cut, CHUNK) of a chunk away: records behind the cut go, the one across it gets shorter.
function slices.trim(ino, chunk, cut)
  local packed = map.records(ino, chunk)
  if packed == '' then return end
  if #packed > TRIM_RECORDS * SLICE_RECORD_BYTES then
    slices.append(ino, chunk, slices.zero(cut, CHUNK_BYTES - cut))
    return
  end
  local kept, gone, changed = {}, {}, false
  for at = 1, #packed, SLICE_RECORD_BYTES do
    local pos, id, size, off, len = struct.unpack(SLICE_RECORD_FORMAT, packed, at)
    if pos + len <= cut then
      kept[#kept + 1] = string.sub(packed, at, at + SLICE_RECORD_BYTES - 1)
    else
      changed = true
      if pos >= cut then
        gone[#gone + 1] = { id, size, len }
      else
        -- A shorter record is the old reference given up and a new one taken; only packs count bytes.
        kept[#kept + 1] = struct.pack(SLICE_RECORD_FORMAT, pos, id, size, off, cut - pos)
        local pack = id ~= 0 and call('HGET', P .. 'pk', fmt(id))
        if pack then
          local live, total = struct.unpack('<I8I8', pack)
          packs.add_live(id, live, total, cut - pos - len)
        end
      end
    end
  end
  if not changed then return end
  local rest = table.concat(kept)
  slices.store(ino, chunk, rest)
  slices.release(ino, chunk, gone, rest)
end
