-- Replaces the first records of a chunk by others that show the same bytes, if they are still its first records: an
-- append that came meanwhile stays behind them. Version and times stay.
-- Returns {'OK', 1 or 0}. Errors: EINVAL (a fresh inline record).
--@shrinks
--@needs core mutate map packs slices
local ino, chunk, prefix, replacement = arg.ino, arg.chunk_index, arg.prefix, arg.replacement
local packed = map.records(ino, chunk)
if #prefix == 0 or string.sub(packed, 1, #prefix) ~= prefix then return mutate.finish({ 'OK', 0 }) end
local gone = slices.records(prefix)
local _, before = slices.sums(gone)
local kept, added = {}, {}
for _, record in ipairs(slices.records(replacement)) do
  if record[1] ~= 0 then
    if before[record[1]] then
      kept[#kept + 1] = record
    elseif record[2] >= INLINE_BIT then
      return { 'EINVAL' }
    else
      added[#added + 1] = record
    end
  end
end
local rest = replacement .. string.sub(packed, #prefix + 1)
slices.store(ino, chunk, rest)
slices.share(ino, chunk, kept)
local several = {}
for _, slice in ipairs(slices.sums(added)) do
  local pack = call('HGET', P .. 'pk', slices.key(slice))
  if pack or slice.count > 1 then several[#several + 1] = slices.key(slice) end
  if pack then
    local live, total = struct.unpack('<I8I8', pack)
    packs.add_live(slice.id, live, total, slice.len)
  elseif slice.count > 1 then
    call('HINCRBY', P .. 'ref', slices.key(slice), slice.count - 1)
  end
end
slices.unsettle(several)
slices.release(ino, chunk, gone, rest)
return mutate.finish({ 'OK', 1 })
