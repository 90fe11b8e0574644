-- Shares slices of a source range with a target: moves no bytes. Bounded: stops after `most` records or 64 chunks.
-- Returns {'OK', target's attributes, bytes copied, length now known to be copied in all (clamped to the source)}.
-- Errors: ENOENT, EINVAL (no regular files, ranges of one file overlap), EFBIG.
--@needs core attrs mutate stale privileges usage map slices space content
local source, target = arg.source, arg.target
local from, to, length, most = arg.source_offset, arg.target_offset, arg.length, arg.most
local s, t = attrs.get(source), attrs.get(target)
if not s or not t then return { 'ENOENT' } end
if bit.band(s.mode, S_IFMT) ~= S_IFREG or bit.band(t.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
length = math.min(length, s.size - from)
if length <= 0 then return mutate.finish({ 'OK', attrs.pack(t), '0', '0' }) end
if source == target and math.abs(from - to) < length then return { 'EINVAL' } end
if to + length > FILE_BYTES_MAX then return { 'EFBIG' } end

local out, order = {}, {}
local count = 0

local function emit(at, id, size, off, len)
  while len > 0 do
    local chunk, pos = math.floor(at / CHUNK_BYTES), at % CHUNK_BYTES
    local part = math.min(len, CHUNK_BYTES - pos)
    if not out[chunk] then
      out[chunk] = { packed = {}, shared = {}, old = call('EXISTS', map.key(target, chunk)) == 1 }
      order[#order + 1] = chunk
    end
    local into = out[chunk]
    if id ~= 0 then
      into.packed[#into.packed + 1] = struct.pack(SLICE_RECORD_FORMAT, pos, id, size, off, part)
      into.shared[#into.shared + 1] = { id, size, part }
      count = count + 1
    elseif into.old then
      into.packed[#into.packed + 1] = slices.zero(pos, part)
      count = count + 1
    end
    at, off, len = at + part, off + part, len - part
  end
end

-- `done` is the source offset up to which the target has been described.
local done, last = from, from + length
local chunk, chunks = math.floor(from / CHUNK_BYTES), 0
while done < last and count < most and chunks < 64 do
  local base = chunk * CHUNK_BYTES
  local stop = math.min(last, base + CHUNK_BYTES)
  for _, piece in ipairs(map.visible(map.records(source, chunk), done - base, stop - base)) do
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
local before = space.allocated(t)
local function store()
  for _, index in ipairs(order) do
    local into = out[index]
    if #into.packed > 0 then slices.append(target, index, table.concat(into.packed)) end
    slices.share(target, index, into.shared)
  end
end
if has(s.flags, FLAG_SPARSE) or space.block_down(to) > space.block_up(t.size) then space.make_sparse(t) end
if has(t.flags, FLAG_SPARSE) then space.recount(target, t, to, to + copied, store) else store() end
t.size = math.max(t.size, to + copied)
usage.add(space.allocated(t) - before)
content.changed(t)
privileges.drop(target, t, arg.kill_priv)
local packed = attrs.set(target, t)
stale.inode(target, t.version)
return mutate.finish({ 'OK', packed, fmt(copied), fmt(length) })
