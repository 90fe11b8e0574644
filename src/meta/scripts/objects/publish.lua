-- Links finished content over a key: checks the precondition, makes missing parents, takes over from what stood there.
-- Returns {'OK', parent, ino, attributes, 1 when it is shadowed, {replaced ino, attributes} or {}, {parent,
-- name... of implicit directories made}, inline bytes of the volume, <I8... ids of inline pieces}.
-- Errors: ENOENT (root gone, or If-Match without an object), ECANCELED, EACCES, ELOOP, ESTALE (upload or hidden inode
-- is gone), EISDIR (`dir/` with bytes), EFBIG.
--@needs core now attrs mutate stale times access entries holds inodes links paths objects usage space pieces linking uploads
local components, directory, caller = arg.components, arg.directory, arg.caller
local uid, gid, upload = arg.uid, arg.gid, arg.upload_id
local count = #components
local name = components[count]

local dirs, failure = paths.walk(caller, arg.root, components, count - 1, links.budget())
if not dirs then return { failure } end
local parent = dirs[#dirs]
if not access.may(caller, parent.attr, MAY_SEARCH) then return { 'EACCES' } end
local entry, old, object_ino, object
if #dirs == count then entry, old, object_ino, object = objects.at(caller, parent.ino, name, directory) end
failure = objects.precondition_failure(arg.precondition, object_ino, object)
if failure then return { failure } end
if upload ~= '' and call('EXISTS', P .. 'up:' .. upload) == 0 then return { 'ESTALE' } end
local updates_dir = directory and old
if updates_dir then
  if not access.may(caller, old, MAY_WRITE) then return { 'EACCES' } end
else
  if not access.may(caller, parent.attr, MAY_WRITE + MAY_SEARCH) then return { 'EACCES' } end
  if old and not access.sticky_allows(caller, parent.attr, old) then return { 'EACCES' } end
end

local ino, a
local written = {}
if arg.content_ino then
  ino, a = arg.content_ino, attrs.get(arg.content_ino)
  if not a or a.nlink ~= 0 or a.parent ~= 0 or not attrs.is_file(a) then return { 'ESTALE' } end
else
  written = pieces.parse(arg.pieces)
  if arg.size > FILE_BYTES_MAX then return { 'EFBIG' } end
end
if directory and (a and a.size or arg.size) > 0 then return { 'EISDIR' } end

local made
parent, made = linking.make_parents(dirs, components, count - 1, arg.dir_mode, uid, gid)
if upload ~= '' then
  uploads.remove(upload)
  call('SET', P .. 'done:' .. upload, arg.s3_etag, 'EX', 86400)
end

if directory then
  if a then
    holds.release(ino, mutate.sid)
    holds.orphan(ino, a)
  end
  local packed
  if updates_dir then
    ino, a = entry.ino, old
    if has(a.flags, FLAG_IMPLICIT) then a.flags = a.flags - FLAG_IMPLICIT end
    times.change(a)
    stale.inode(ino, a.version)
  else
    ino, a = inodes.new(S_IFDIR + bit.band(arg.dir_mode, MODE_BITS), uid, gid, parent.ino)
    inodes.inherit_group(parent.attr, a)
    entry = { shadowed = entries.typed(parent.ino, name, false) ~= nil }
    entries.add(parent.ino, name, true, ino, entry.shadowed)
    inodes.dir_changed(parent.ino, parent.attr, 1)
    stale.entry(parent.ino, name)
  end
  a.flags = bit.bor(a.flags, FLAG_MARKER)
  linking.store_user_xattrs(ino, a, arg.xattrs_at, arg.xattr_count)
  linking.store_s3(ino, a, arg.s3_at)
  packed = attrs.set(ino, a)
  return mutate.finish({ 'OK', parent.ino, ino, packed, entry.shadowed and 1 or 0, {}, made, usage.inline(), '' })
end

local ids = ''
if arg.content_ino then
  holds.release(ino, mutate.sid)
  call('ZREM', P .. 'del', ino)
  a.parent, a.nlink = tonumber(parent.ino), 1
  a.cs, a.cn, a.ms, a.mn = now.s, now.ns, now.s, now.ns
else
  ino, a = inodes.new(S_IFREG, uid, gid, parent.ino)
  a.size = arg.size
  ids = pieces.store(ino, written, arg.inline_at)
  usage.add(space.allocated(a))
end
a.uid, a.gid, a.mode = uid, gid, S_IFREG + bit.band(arg.file_mode, MODE_BITS)
inodes.inherit_group(parent.attr, a)
if arg.mtime ~= '' then
  a.ms, a.mn = struct.unpack('<i8I4', arg.mtime)
  a.set_us = now.us
end

-- As writing to the file would: its owner stays when the caller may write it. Who may not puts a file of their own in
-- its place, as mv does.
if old and attrs.is_file(old) and access.may(caller, old, MAY_WRITE) then linking.take_over(ino, a, entry.ino, old) end
linking.store_user_xattrs(ino, a, arg.xattrs_at, arg.xattr_count)
linking.store_s3(ino, a, arg.s3_at)
local packed = attrs.set(ino, a)
local replaced, shadowed = {}, false
if entry then
  shadowed = entry.shadowed
  entries.replace(parent.ino, entry, ino)
  replaced = { entry.ino, inodes.name_taken(entry.ino, old, parent.ino, name) }
else
  shadowed = entries.typed(parent.ino, name, true) ~= nil
  entries.add(parent.ino, name, false, ino, shadowed)
end
inodes.dir_changed(parent.ino, parent.attr, 0)
stale.entry(parent.ino, name)
stale.inode(ino, a.version)
return mutate.finish({ 'OK', parent.ino, ino, packed, shadowed and 1 or 0, replaced, made, usage.inline(), ids })
