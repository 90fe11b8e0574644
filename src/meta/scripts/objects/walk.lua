-- Finds a key: attributes, S3 record, user.* attributes, and the data of a small file, in one trip.
-- Returns {'OK', parent, name, ino, attributes, {S3 record: field, value...}, {xattr name, value...}, records of chunk 0
-- or nil, ids, bytes...}. Errors: ENOENT, EACCES, ELOOP.
--@needs core attrs access entries links paths map
local components, directory, caller = arg.components, arg.directory, arg.caller
local count = #components
local budget = links.budget()
local dirs, failure = paths.walk(caller, arg.root, components, directory and count or count - 1, budget)
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
  if not access.may(caller, dir.attr, MAY_SEARCH) then return { 'EACCES' } end
  local entry = entries.typed(dir.ino, components[count], false)
  if not entry then return { 'ENOENT' } end
  parent, name, ino, a = dir.ino, components[count], entry.ino, attrs.get(entry.ino)
  if a and attrs.is_symlink(a) and arg.follow then
    ino, a = links.resolve(caller, dir.ino, entry.ino, budget)
    if not ino then return { a } end
    if a and attrs.is_dir(a) then return { 'ENOENT' } end
  end
end
if not a then return { 'ENOENT' } end
if not access.may(caller, a, MAY_READ) then return { 'EACCES' } end

local s3 = has(a.flags, FLAG_S3) and call('HGETALL', P .. 'o' .. ino) or {}
local xattrs = arg.xattrs and has(a.flags, FLAG_XATTR) and call('HGETALL', P .. 'x' .. ino) or {}
local bytes_max = arg.data_bytes_max
if not attrs.is_file(a) or a.size == 0 or a.size > bytes_max or a.size > CHUNK_BYTES then
  return { 'OK', parent, name, ino, attrs.pack(a), s3, xattrs }
end
local chunks, ids, bytes = map.run(ino, 0, 1, bytes_max)
return { 'OK', parent, name, ino, attrs.pack(a), s3, xattrs, chunks[1], ids, unpack(bytes) }
