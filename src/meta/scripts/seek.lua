-- Next data or hole at or after an offset. ARGV[1] ino, [2] offset, [3] 'data' or 'hole'
-- Returns {'OK', offset} or {'MORE', offset to go on from}. Errors: ENOENT, EINVAL, ENXIO.
--@include core
--@include map
local ino, offset, whence = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local a = attr_get(ino)
if not a then return { 'ENOENT' } end
if bit.band(a.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
if offset >= a.size then return { 'ENXIO' } end

local function pieces_of(chunk)
  local base = chunk * CHUNK
  return base, map_visible(chunk_records(ino, chunk), math.max(offset - base, 0), math.min(CHUNK, a.size - base))
end

if whence == 'data' then
  local chunks = chunks_between(ino, math.floor(offset / CHUNK), math.floor((a.size - 1) / CHUNK), 200)
  for _, chunk in ipairs(chunks) do
    local base, pieces = pieces_of(chunk)
    for _, piece in ipairs(pieces) do
      if piece[3] ~= 0 then return { 'OK', fmt(base + piece[1]) } end
    end
  end
  if #chunks < 200 then return { 'ENXIO' } end
  return { 'MORE', fmt((chunks[#chunks] + 1) * CHUNK) }
end

local first = math.floor(offset / CHUNK)
local at = offset
for chunk = first, first + 199 do
  local base, pieces = pieces_of(chunk)
  for _, piece in ipairs(pieces) do
    if base + piece[1] > at or piece[3] == 0 then return { 'OK', fmt(at) } end
    at = base + piece[1] + piece[2]
  end
  if at >= a.size then return { 'OK', fmt(a.size) } end
  if at < base + CHUNK then return { 'OK', fmt(at) } end
end
return { 'MORE', fmt(at) }
