-- Makes written pieces part of a file: records, inline bytes, size, times, version. Their stored bytes are durable.
-- Returns {'OK', attributes, offset of an appended run or -1, inline bytes of the volume, <I8... ids of inline pieces,
-- <I4I4... chunk and its record count}. Errors: ENOENT, EISDIR, EINVAL (no regular file), EFBIG.
--@needs core attrs mutate stale times privileges usage space pieces
local ino = arg.ino
local a = attrs.get(ino)
if not a then return { 'ENOENT' } end
if attrs.is_dir(a) then return { 'EISDIR' } end
if bit.band(a.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
local written = pieces.parse(arg.pieces)
local offset = -1
if arg.placement == 'append' then
  offset = a.size
  written = pieces.shift(written, offset)
end
local size = math.max(a.size, pieces.stop(written))
if size > FILE_BYTES_MAX then return { 'EFBIG' } end

local before = space.allocated(a)
space.count_pieces(ino, a, written)
local ids, inline_bytes, counts = pieces.store(ino, written, arg.inline_at)
a.size = size
usage.add(space.allocated(a) - before)
a.version = a.version + 1
times.commit(a, arg.mtime_s, arg.mtime_ns, arg.time_shown)
privileges.drop(ino, a, arg.kill_priv)
local packed = attrs.set(ino, a)
stale.inode(ino, a.version)
return mutate.finish({ 'OK', packed, fmt(offset), usage.inline(), ids, counts })
