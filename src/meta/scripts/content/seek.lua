-- Next data or hole at or after an offset, in blocks: data and holes begin and end where a block does (lib/space).
-- Returns {'OK', offset} or {'MORE', offset to go on from}. Errors: ENOENT, EINVAL, ENXIO.
--@needs core attrs map space
local ino, offset, whence = arg.ino, arg.offset, arg.whence
local a = attrs.get(ino)
if not a then return { 'ENOENT' } end
if bit.band(a.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
if offset >= a.size then return { 'ENXIO' } end
if not has(a.flags, FLAG_SPARSE) then return { 'OK', 0, fmt(whence == 'data' and offset or a.size) } end

-- Pieces with data, from the block that the offset is in.
local function data_of(chunk)
  local base, found = chunk * CHUNK_BYTES, {}
  local from, to = math.max(space.block_down(offset) - base, 0), math.min(CHUNK_BYTES, a.size - base)
  for _, piece in ipairs(map.visible(map.records(ino, chunk), from, to)) do
    if piece[3] ~= 0 then found[#found + 1] = { space.block_down(base + piece[1]), space.block_up(base + piece[1] + piece[2]) } end
  end
  return found
end

if whence == 'data' then
  local chunks = map.chunks(ino, math.floor(offset / CHUNK_BYTES), math.floor((a.size - 1) / CHUNK_BYTES), 200)
  for _, chunk in ipairs(chunks) do
    local first = data_of(chunk)[1]
    if first then return { 'OK', 0, fmt(math.max(offset, first[1])) } end
  end
  if #chunks < 200 then return { 'ENXIO' } end
  return { 'OK', 1, fmt((chunks[#chunks] + 1) * CHUNK_BYTES) }
end

local at = space.block_down(offset)
local chunk = math.floor(offset / CHUNK_BYTES)
for index = chunk, chunk + 199 do
  for _, data in ipairs(data_of(index)) do
    if data[1] > at then return { 'OK', 0, fmt(math.max(at, offset)) } end
    at = math.max(at, data[2])
  end
  if at >= a.size then return { 'OK', 0, fmt(a.size) } end
  if at < (index + 1) * CHUNK_BYTES then return { 'OK', 0, fmt(math.max(at, offset)) } end
end
return { 'OK', 1, fmt(at) }
