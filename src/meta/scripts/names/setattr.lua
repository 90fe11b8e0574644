-- chmod, chown, truncate and utimens in one step; without fields only ctime moves.
-- Returns {'OK', attributes}.
-- Errors: ENOENT, EISDIR and EINVAL (size of no regular file), EFBIG, EPERM (not the owner), EACCES (no write permission).
--@shrinks
--@needs core now attrs mutate stale times privileges access content
local ino, caller, which = arg.ino, arg.caller, arg.which
local mode, uid, gid, size, as, an, ms, mn = struct.unpack(SETATTR_FORMAT, arg.changes)
local function wants(field) return bit.band(which, field) ~= 0 end

local a = attrs.get(ino)
if not a then return { 'ENOENT' } end
local owner = not caller or caller.uid == 0 or caller.uid == a.uid
if wants(SET_MODE) and not owner then return { 'EPERM' } end
if wants(SET_UID) and caller and caller.uid ~= 0 and uid ~= a.uid then return { 'EPERM' } end
if wants(SET_GID) and caller and caller.uid ~= 0 and gid ~= a.gid and not (owner and caller.groups[gid]) then return { 'EPERM' } end
if (wants(SET_ATIME) or wants(SET_MTIME)) and not owner then return { 'EPERM' } end
if (wants(SET_ATIME_NOW) or wants(SET_MTIME_NOW)) and not owner and not access.may(caller, a, MAY_WRITE) then return { 'EACCES' } end
if wants(SET_SIZE) then
  if attrs.is_dir(a) then return { 'EISDIR' } end
  if bit.band(a.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
  if not access.may(caller, a, MAY_WRITE) then return { 'EACCES' } end
  if size > FILE_BYTES_MAX then return { 'EFBIG' } end
end

if wants(SET_SIZE) then
  content.resize(ino, a, size)
  times.content(a)
end
if wants(SET_UID) then a.uid = uid end
if wants(SET_GID) then a.gid = gid end
-- A change of owner takes set-id bits away, whoever makes it; a mode given with it is meant as it is.
local owner_changes = (wants(SET_UID) or wants(SET_GID)) and not attrs.is_dir(a)
if owner_changes or wants(SET_SIZE) or wants(SET_KILL_PRIV) then privileges.drop(ino, a, owner_changes or wants(SET_KILL_PRIV)) end
if wants(SET_MODE) then
  a.mode = bit.band(a.mode, S_IFMT) + bit.band(mode, MODE_BITS)
  if caller and caller.uid ~= 0 and has(a.mode, S_ISGID) and not caller.groups[a.gid] then a.mode = a.mode - S_ISGID end
end
if wants(SET_ATIME_NOW) then a.as, a.an = now.s, now.ns elseif wants(SET_ATIME) then a.as, a.an = as, an end
-- A write made before this utimens, but committed after it, must not take the time back (commit_times). With a size the
-- kernel asks for "now", which the change of content has set already.
if wants(SET_MTIME) or (wants(SET_MTIME_NOW) and not wants(SET_SIZE)) then
  if wants(SET_MTIME_NOW) then ms, mn = now.s, now.ns end
  a.ms, a.mn, a.set_us = ms, mn, now.us
end
if not wants(SET_SIZE) then times.change(a) end
stale.inode(ino, a.version)
return mutate.finish({ 'OK', attrs.set(ino, a) })
