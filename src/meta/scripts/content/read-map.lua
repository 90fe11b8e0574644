-- Attributes and the slice records of a run of chunks; inline bytes come along, latest records first, up to a bound.
-- Returns {'OK', attributes, {records of each chunk}, <I8... ids, bytes...}. Errors: ENOENT.
--@needs core map
local ino, first, count, inline_max = arg.ino, arg.chunk_index, arg.count, arg.inline_bytes_max
local packed_attr = call('GET', P .. 'i' .. ino)
if not packed_attr then return { 'ENOENT' } end
local chunks, ids, bytes = map.run(ino, first, count, inline_max)
return { 'OK', packed_attr, chunks, ids, unpack(bytes) }
