-- Attributes and the slice records of a run of chunks; inline bytes come along, latest records first, up to a bound.
-- ARGV[1] ino, [2] first chunk, [3] chunk count, [4] most inline bytes
-- Returns {'OK', attributes, {records of each chunk}, <I8... ids, bytes...}. Errors: ENOENT.
--@include core
--@include map
local ino, first, count, inline_max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local packed_attr = call('GET', P .. 'i' .. ino)
if not packed_attr then return { 'ENOENT' } end
local chunks, ids, bytes = map_run(ino, first, count, inline_max)
return { 'OK', packed_attr, chunks, ids, unpack(bytes) }
