-- Links finished content over a key: checks the precondition, makes missing parents, takes over from what stood there.
-- ARGV[4] root, [5] component count, [6] components, [7] 'd' or 'f', [8] caller, [9] owner uid, [10] owner gid,
-- [11] precondition, [12] file mode, [13] directory mode, [14] '' or mtime <i8I4, [15] upload id or '',
-- [16..20] etag, headers, tags, checksums, parts, [21] 'i' hidden inode or 'p' pieces, [22] its number or the size,
-- [23] pieces, [24] number of xattrs, [25...] their names and values, then the bytes of inline pieces
-- Returns {'OK', parent, ino, attributes, 1 when the younger of its name, {replaced ino, attributes} or {}, {parent,
-- name... of implicit directories made}, inline bytes of the volume, <I8... ids of inline pieces}.
-- Errors: ENOENT (root gone, or If-Match without an object), ECANCELED, EACCES, ELOOP, ESTALE (upload or hidden inode
-- is gone), EISDIR (`dir/` with bytes), EFBIG.
--@include core
--@include mutate
--@include names
--@include inodes
--@include access
--@include map
--@include space
--@include slices
--@include pieces
--@include holds
--@include objects
--@include uploads
--@include publish
local root, count = ARGV[4], tonumber(ARGV[5])
local components = components_of(ARGV[6], count)
local directory, caller = ARGV[7] == 'd', caller_of(ARGV[8])
local uid, gid = tonumber(ARGV[9]), tonumber(ARGV[10])
local upload, kind = ARGV[15], ARGV[21]
local xattr_count = tonumber(ARGV[24])
local name = components[count]

local dirs, failure = dirs_walk(caller, root, components, count - 1, { left = LINKS_MAX })
if not dirs then return { failure } end
local parent = dirs[#dirs]
if not may(caller, parent.attr, 1) then return { 'EACCES' } end
local entry, old, object_ino, object
if #dirs == count then entry, old, object_ino, object = object_at(caller, parent.ino, name, directory) end
failure = precondition_failure(ARGV[11], object_ino, object)
if failure then return { failure } end
if upload ~= '' and call('EXISTS', P .. 'up:' .. upload) == 0 then return { 'ESTALE' } end
local updates_dir = directory and old
if updates_dir then
  if not may(caller, old, 2) then return { 'EACCES' } end
else
  if not may(caller, parent.attr, 3) then return { 'EACCES' } end
  if old and not sticky_ok(caller, parent.attr, old) then return { 'EACCES' } end
end

local ino, a
local pieces = {}
if kind == 'i' then
  ino, a = ARGV[22], attr_get(ARGV[22])
  if not a or a.nlink ~= 0 or a.parent ~= 0 or not is_file(a) then return { 'ESTALE' } end
else
  pieces = pieces_parse(ARGV[23])
  if tonumber(ARGV[22]) > FILE_MAX then return { 'EFBIG' } end
end
if directory and (a and a.size or tonumber(ARGV[22])) > 0 then return { 'EISDIR' } end

local made
parent, made = parents_make(dirs, components, count - 1, tonumber(ARGV[13]), uid, gid)
if upload ~= '' then
  upload_remove(upload)
  call('SET', P .. 'done:' .. upload, ARGV[16], 'EX', 86400)
end

if directory then
  if a then
    unhold(ino, SID)
    bury(ino, a)
  end
  local packed
  if updates_dir then
    ino, a = entry.ino, old
    if has(a.flags, F_IMPLICIT) then a.flags = a.flags - F_IMPLICIT end
    touch_change(a)
    stale_inode(ino, a.version)
  else
    ino, a = inode_new(S_IFDIR + bit.band(tonumber(ARGV[13]), 4095), uid, gid, parent.ino)
    inherit_group(parent.attr, a)
    entry = { younger = entry_typed(parent.ino, name, false) ~= nil }
    entry_add(parent.ino, name, true, ino, entry.younger)
    dir_changed(parent.ino, parent.attr, 1)
    stale_entry(parent.ino, name)
  end
  a.flags = bit.bor(a.flags, F_MARKER)
  user_xattrs_store(ino, a, ARGV, 25, xattr_count)
  s3_store(ino, a, ARGV, 16)
  packed = attr_set(ino, a)
  return finish({ 'OK', parent.ino, ino, packed, entry.younger and 1 or 0, {}, made, inline_total(), '' })
end

local ids = ''
if kind == 'i' then
  unhold(ino, SID)
  call('ZREM', P .. 'del', ino)
  a.parent, a.nlink = tonumber(parent.ino), 1
  a.cs, a.cn, a.ms, a.mn = NOW_S, NOW_N, NOW_S, NOW_N
else
  ino, a = inode_new(S_IFREG, uid, gid, parent.ino)
  a.size = tonumber(ARGV[22])
  ids = pieces_store(ino, pieces, ARGV, 25 + 2 * xattr_count)
  used_add(allocated(a))
end
a.uid, a.gid, a.mode = uid, gid, S_IFREG + bit.band(tonumber(ARGV[12]), 4095)
inherit_group(parent.attr, a)
if ARGV[14] ~= '' then
  a.ms, a.mn = struct.unpack('<i8I4', ARGV[14])
  a.set_us = NOW_US
end

-- As writing to the file would: its owner stays when the caller may write it. Who may not puts a file of their own in
-- its place, as mv does.
if old and is_file(old) and may(caller, old, 2) then take_over(ino, a, entry.ino, old) end
user_xattrs_store(ino, a, ARGV, 25, xattr_count)
s3_store(ino, a, ARGV, 16)
local packed = attr_set(ino, a)
local replaced, younger = {}, false
if entry then
  younger = entry.younger
  entry_replace(parent.ino, entry, ino)
  replaced = { entry.ino, name_taken(entry.ino, old, parent.ino) }
else
  younger = entry_typed(parent.ino, name, true) ~= nil
  entry_add(parent.ino, name, false, ino, younger)
end
dir_changed(parent.ino, parent.attr, 0)
stale_entry(parent.ino, name)
stale_inode(ino, a.version)
return finish({ 'OK', parent.ino, ino, packed, younger and 1 or 0, replaced, made, inline_total(), ids })
