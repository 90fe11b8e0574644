-- Points records of one pack at the copies of their bytes in another: what lives in a half-dead pack moves, and the old pack
-- goes when its last record has left. Records are right one by one; version and times stay. Guard as in pack-swap.
-- Returns {'OK', records moved}. Errors: ESTALE (the new pack was given up).
--@shrinks
--@needs core mutate map packs slices
local old, new = arg.old_pack, arg.new_pack
if not call('ZSCORE', P .. 'pkup', new .. ':' .. mutate.sid) then return { 'ESTALE' } end
slices.unsettle({ new })
local runs = {}
for at = 1, #arg.runs, 12 do
  local from, len, to = struct.unpack('<I4I4I4', arg.runs, at)
  runs[#runs + 1] = { from, from + len, to - from }
end

-- Where the bytes [off, off + len) of the old pack are in the new one; nil when they were not copied.
local function moved_to(off, len)
  local low, high = 1, #runs
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local run = runs[middle]
    if off < run[1] then high = middle - 1
    elseif off >= run[2] then low = middle + 1
    else return off + len <= run[2] and off + run[3] or nil end
  end
  return nil
end

local count, live = 0, 0
for at = arg.chunks_at, #ARGV, 2 do
  local key = map.key(ARGV[at], ARGV[at + 1])
  local packed = call('GET', key) or ''
  for record = 1, #packed, SLICE_RECORD_BYTES do
    local _, id, size, off, len = struct.unpack(SLICE_RECORD_FORMAT, packed, record)
    local to = id == tonumber(old) and size < INLINE_BIT and moved_to(off, len)
    if to then
      call('SETRANGE', key, record - 1 + 4, struct.pack('<I8I4I4', tonumber(new), arg.new_bytes, to))
      count, live = count + 1, live + len
    end
  end
end
local function add(id, total, delta)
  local pack = call('HGET', P .. 'pk', id)
  local before = 0
  if pack then before, total = struct.unpack('<I8I8', pack) end
  packs.add_live(tonumber(id), before, total, delta)
end
if count > 0 then
  add(new, arg.new_bytes, live)
  add(old, arg.old_bytes, -live)
end
return mutate.finish({ 'OK', count })
