-- Makes written pieces part of a file: records, inline bytes, size, times, version. Their stored bytes are durable.
-- ARGV[4] ino, [5] 'w' pieces stand where they say or 'a' they are one run that goes to the end of file,
-- [6] mtime seconds, [7] nanoseconds, [8] sum: 1 clears set-id bits, 2 the time was shown as ctime,
-- [9] pieces: <I4 chunk and a record each (inline: slice id 0 and the inline bit), [10...] bytes of the inline pieces
-- Returns {'OK', attributes, offset of an appended run or -1, inline bytes of the volume, <I8... ids of inline pieces,
-- <I4I4... chunk and its record count}. Errors: ENOENT, EISDIR, EINVAL (no regular file), EFBIG.
--@include core
--@include mutate
--@include map
--@include space
--@include slices
--@include pieces
local ino = ARGV[4]
local a = attr_get(ino)
if not a then return { 'ENOENT' } end
if is_dir(a) then return { 'EISDIR' } end
if bit.band(a.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
local pieces = pieces_parse(ARGV[9])
local offset = -1
if ARGV[5] == 'a' then
  offset = a.size
  pieces = pieces_shift(pieces, offset)
end
local size = math.max(a.size, pieces_end(pieces))
if size > FILE_MAX then return { 'EFBIG' } end

local before = allocated(a)
pieces_count(ino, a, pieces)
local ids, inline_bytes, counts = pieces_store(ino, pieces, ARGV, 10)
a.size = size
used_add(allocated(a) - before)
a.version = a.version + 1
commit_times(a, tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] >= '2')
drop_privileges(ino, a, ARGV[8] == '1' or ARGV[8] == '3')
local packed = attr_set(ino, a)
stale_inode(ino, a.version)
return finish({ 'OK', packed, fmt(offset), inline_total(), ids, counts })
