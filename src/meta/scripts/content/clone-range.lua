-- Shares slices of a source range with a target: moves no bytes. Bounded: stops after `most` records or 64 chunks.
-- ARGV[4] source ino, [5] source offset, [6] target ino, [7] target offset, [8] length, [9] most records, [10] '1' clears set-id bits
-- Returns {'OK', target's attributes, bytes copied, length now known to be copied in all (clamped to the source)}.
-- Errors: ENOENT, EINVAL (no regular files, ranges of one file overlap), EFBIG.
--@include core
--@include mutate
--@include map
--@include space
--@include slices
--@include pieces
local source, target = ARGV[4], ARGV[6]
local from, to, length, most = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local s, t = attr_get(source), attr_get(target)
if not s or not t then return { 'ENOENT' } end
if bit.band(s.mode, S_IFMT) ~= S_IFREG or bit.band(t.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
length = math.min(length, s.size - from)
if length <= 0 then return finish({ 'OK', attr_pack(t), '0', '0' }) end
if source == target and math.abs(from - to) < length then return { 'EINVAL' } end
if to + length > FILE_MAX then return { 'EFBIG' } end

local out, order = {}, {}
local count = 0

local function emit(at, id, size, off, len)
  while len > 0 do
    local chunk, pos = math.floor(at / CHUNK), at % CHUNK
    local part = math.min(len, CHUNK - pos)
    if not out[chunk] then
      out[chunk] = { packed = {}, shared = {}, old = call('EXISTS', chunk_key(target, chunk)) == 1 }
      order[#order + 1] = chunk
    end
    local into = out[chunk]
    if id ~= 0 then
      into.packed[#into.packed + 1] = struct.pack(RECORD, pos, id, size, off, part)
      into.shared[#into.shared + 1] = { id, size, part }
      count = count + 1
    elseif into.old then
      into.packed[#into.packed + 1] = zero_record(pos, part)
      count = count + 1
    end
    at, off, len = at + part, off + part, len - part
  end
end

-- `done` is the source offset up to which the target has been described.
local done, last = from, from + length
local chunk, chunks = math.floor(from / CHUNK), 0
while done < last and count < most and chunks < 64 do
  local base = chunk * CHUNK
  local stop = math.min(last, base + CHUNK)
  for _, piece in ipairs(map_visible(chunk_records(source, chunk), done - base, stop - base)) do
    if count >= most then
      stop = done
      break
    end
    local at = base + piece[1]
    if at > done then emit(to + done - from, 0, 0, 0, at - done) end
    emit(to + at - from, piece[3], piece[4], piece[5], piece[2])
    done = at + piece[2]
  end
  if done < stop then
    emit(to + done - from, 0, 0, 0, stop - done)
    done = stop
  end
  chunk, chunks = chunk + 1, chunks + 1
end

local copied = done - from
local before = allocated(t)
local function store()
  for _, index in ipairs(order) do
    local into = out[index]
    if #into.packed > 0 then chunk_append(target, index, table.concat(into.packed)) end
    slices_share(target, index, into.shared)
  end
end
if has(s.flags, F_SPARSE) or block_down(to) > block_up(t.size) then make_sparse(t) end
if has(t.flags, F_SPARSE) then recount(target, t, to, to + copied, store) else store() end
t.size = math.max(t.size, to + copied)
used_add(allocated(t) - before)
content_changed(t)
drop_privileges(target, t, ARGV[10] == '1')
local packed = attr_set(target, t)
stale_inode(target, t.version)
return finish({ 'OK', packed, fmt(copied), fmt(length) })
