-- chmod, chown, truncate and utimens in one step; without fields only ctime moves.
-- KEYS[1] prefix. ARGV[4] ino, [5] caller, [6] which fields (sum): 1 mode, 2 uid, 4 gid, 8 size, 16 atime, 32 atime now,
-- 64 mtime, 128 mtime now, 256 clear set-id bits; [7] <I4I4I4I8i8I4i8I4 mode, uid, gid, size, atime, mtime
-- Returns {'OK', attributes}.
-- Errors: ENOENT, EISDIR and EINVAL (size of no regular file), EFBIG, EPERM (not the owner), EACCES (no write permission).
--@include core
--@include mutate
--@include map
--@include space
--@include slices
--@include access
local ino, caller, which = ARGV[4], caller_of(ARGV[5]), tonumber(ARGV[6])
local mode, uid, gid, size, as, an, ms, mn = struct.unpack('<I4I4I4I8i8I4i8I4', ARGV[7])
local function wants(field) return bit.band(which, field) ~= 0 end

local a = attr_get(ino)
if not a then return { 'ENOENT' } end
local owner = not caller or caller.uid == 0 or caller.uid == a.uid
if wants(1) and not owner then return { 'EPERM' } end
if wants(2) and caller and caller.uid ~= 0 and uid ~= a.uid then return { 'EPERM' } end
if wants(4) and caller and caller.uid ~= 0 and gid ~= a.gid and not (owner and caller.groups[gid]) then return { 'EPERM' } end
if (wants(16) or wants(64)) and not owner then return { 'EPERM' } end
if (wants(32) or wants(128)) and not owner and not may(caller, a, 2) then return { 'EACCES' } end
if wants(8) then
  if is_dir(a) then return { 'EISDIR' } end
  if bit.band(a.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
  if not may(caller, a, 2) then return { 'EACCES' } end
  if size > FILE_MAX then return { 'EFBIG' } end
end

if wants(8) then
  content_resize(ino, a, size)
  touch_content(a)
end
if wants(2) then a.uid = uid end
if wants(4) then a.gid = gid end
-- A change of owner takes set-id bits away, whoever makes it; a mode given with it is meant as it is.
local owner_changes = (wants(2) or wants(4)) and not is_dir(a)
if owner_changes or wants(8) or wants(256) then drop_privileges(ino, a, owner_changes or wants(256)) end
if wants(1) then
  a.mode = bit.band(a.mode, S_IFMT) + bit.band(mode, 4095)
  if caller and caller.uid ~= 0 and has(a.mode, 1024) and not caller.groups[a.gid] then a.mode = a.mode - 1024 end
end
if wants(32) then a.as, a.an = NOW_S, NOW_N elseif wants(16) then a.as, a.an = as, an end
-- A write made before this utimens, but committed after it, must not take the time back (commit_times). With a size the
-- kernel asks for "now", which the change of content has set already.
if wants(64) or (wants(128) and not wants(8)) then
  if wants(128) then ms, mn = NOW_S, NOW_N end
  a.ms, a.mn, a.set_us = ms, mn, NOW_US
end
if not wants(8) then touch_change(a) end
stale_inode(ino, a.version)
return finish({ 'OK', attr_set(ino, a) })
