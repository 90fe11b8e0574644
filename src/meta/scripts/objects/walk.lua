-- Finds a key: attributes, S3 record, user.* attributes, and the data of a small file, in one trip.
-- ARGV[1] root, [2] component count, [3] components, [4] 'd' (key ends in a slash) or 'f', [5] caller,
-- [6] '1' follows symbolic links, [7] most bytes of data to bring (0: none), [8] '1' brings extended attributes
-- Returns {'OK', parent, name, ino, attributes, {S3 record: field, value...}, {xattr name, value...}, records of chunk 0
-- or nil, ids, bytes...}. Errors: ENOENT, EACCES, ELOOP.
--@include core
--@include names
--@include access
--@include map
--@include objects
local root, count = ARGV[1], tonumber(ARGV[2])
local components = components_of(ARGV[3], count)
local directory, caller, follow = ARGV[4] == 'd', caller_of(ARGV[5]), ARGV[6] == '1'
local budget = { left = LINKS_MAX }
local dirs, failure = dirs_walk(caller, root, components, directory and count or count - 1, budget)
if not dirs then return { failure } end

local parent, name, ino, a
if directory then
  if #dirs < count + 1 then return { 'ENOENT' } end
  local last = dirs[count + 1]
  ino, a = last.ino, last.attr
  parent, name = count > 0 and dirs[count].ino or fmt(a.parent), components[count] or ''
else
  if #dirs < count then return { 'ENOENT' } end
  local dir = dirs[count]
  if not may(caller, dir.attr, 1) then return { 'EACCES' } end
  local entry = entry_typed(dir.ino, components[count], false)
  if not entry then return { 'ENOENT' } end
  parent, name, ino, a = dir.ino, components[count], entry.ino, attr_get(entry.ino)
  if a and is_symlink(a) and follow then
    ino, a = link_resolve(caller, dir.ino, entry.ino, budget)
    if not ino then return { a } end
    if a and is_dir(a) then return { 'ENOENT' } end
  end
end
if not a then return { 'ENOENT' } end
if not may(caller, a, 4) then return { 'EACCES' } end

local s3 = has(a.flags, F_S3) and call('HGETALL', P .. 'o' .. ino) or {}
local xattrs = ARGV[8] == '1' and has(a.flags, F_XATTR) and call('HGETALL', P .. 'x' .. ino) or {}
local bytes_max = tonumber(ARGV[7])
if not is_file(a) or a.size == 0 or a.size > bytes_max or a.size > CHUNK then
  return { 'OK', parent, name, ino, attr_pack(a), s3, xattrs }
end
local chunks, ids, bytes = map_run(ino, 0, 1, bytes_max)
return { 'OK', parent, name, ino, attr_pack(a), s3, xattrs, chunks[1], ids, unpack(bytes) }
