-- Replaces the first records of a chunk by others that show the same bytes, if they are still its first records: an
-- append that came meanwhile stays behind them. Version and times stay.
-- ARGV[4] ino, [5] chunk, [6] packed prefix, [7] packed replacement (fresh stored slices, or slices of the prefix)
-- Returns {'OK', 1 or 0}. Errors: EINVAL (a fresh inline record).
--@include core
--@include mutate
--@include map
--@include space
--@include slices
local ino, chunk, prefix, replacement = ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7]
local packed = chunk_records(ino, chunk)
if #prefix == 0 or string.sub(packed, 1, #prefix) ~= prefix then return finish({ 'OK', 0 }) end
local gone = records_of(prefix)
local _, before = by_slice(gone)
local kept, fresh = {}, {}
for _, record in ipairs(records_of(replacement)) do
  if record[1] ~= 0 then
    if before[record[1]] then
      kept[#kept + 1] = record
    elseif record[2] >= INLINE_BIT then
      return { 'EINVAL' }
    else
      fresh[#fresh + 1] = record
    end
  end
end
local rest = replacement .. string.sub(packed, #prefix + 1)
chunk_store(ino, chunk, rest)
slices_share(ino, chunk, kept)
for _, slice in ipairs(by_slice(fresh)) do
  local pack = call('HGET', P .. 'pk', key_of(slice))
  if pack then
    local live, total = struct.unpack('<I8I8', pack)
    pack_live_add(slice.id, live, total, slice.len)
  elseif slice.count > 1 then
    call('HINCRBY', P .. 'ref', key_of(slice), slice.count - 1)
  end
end
slices_release(ino, chunk, gone, rest)
return finish({ 'OK', 1 })
