-- Next data or hole at or after an offset, in blocks: data and holes begin and end where a block does (lib/space).
-- ARGV[1] ino, [2] offset, [3] 'data' or 'hole'
-- Returns {'OK', offset} or {'MORE', offset to go on from}. Errors: ENOENT, EINVAL, ENXIO.
--@include core
--@include map
--@include space
local ino, offset, whence = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local a = attr_get(ino)
if not a then return { 'ENOENT' } end
if bit.band(a.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
if offset >= a.size then return { 'ENXIO' } end
if not has(a.flags, F_SPARSE) then return { 'OK', fmt(whence == 'data' and offset or a.size) } end

-- Pieces with data, from the block that the offset is in.
local function data_of(chunk)
  local base, found = chunk * CHUNK, {}
  local from, to = math.max(block_down(offset) - base, 0), math.min(CHUNK, a.size - base)
  for _, piece in ipairs(map_visible(chunk_records(ino, chunk), from, to)) do
    if piece[3] ~= 0 then found[#found + 1] = { block_down(base + piece[1]), block_up(base + piece[1] + piece[2]) } end
  end
  return found
end

if whence == 'data' then
  local chunks = chunks_between(ino, math.floor(offset / CHUNK), math.floor((a.size - 1) / CHUNK), 200)
  for _, chunk in ipairs(chunks) do
    local first = data_of(chunk)[1]
    if first then return { 'OK', fmt(math.max(offset, first[1])) } end
  end
  if #chunks < 200 then return { 'ENXIO' } end
  return { 'MORE', fmt((chunks[#chunks] + 1) * CHUNK) }
end

local at = block_down(offset)
local chunk = math.floor(offset / CHUNK)
for index = chunk, chunk + 199 do
  for _, data in ipairs(data_of(index)) do
    if data[1] > at then return { 'OK', fmt(math.max(at, offset)) } end
    at = math.max(at, data[2])
  end
  if at >= a.size then return { 'OK', fmt(a.size) } end
  if at < (index + 1) * CHUNK then return { 'OK', fmt(math.max(at, offset)) } end
end
return { 'MORE', fmt(at) }
