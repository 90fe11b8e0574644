-- Takes a key away, and the implicit directories that it leaves empty. Nothing there is success.
-- ARGV[4] root, [5] component count, [6] components, [7] 'd' or 'f', [8] caller, [9] precondition
-- Returns {'OK'} (there was nothing) or {'OK', parent, ino, attributes after, {parent, name, ino... of pruned
-- directories}}. Errors: ENOENT (root gone, or a condition without an object), ECANCELED, EACCES, ELOOP.
--@include core
--@include mutate
--@include names
--@include inodes
--@include access
--@include objects
local root, count = ARGV[4], tonumber(ARGV[5])
local components = components_of(ARGV[6], count)
local directory, caller = ARGV[7] == 'd', caller_of(ARGV[8])
local name = components[count]

local dirs, failure = dirs_walk(caller, root, components, count - 1, { left = LINKS_MAX })
if not dirs then return { failure } end
local parent = dirs[#dirs]
if not may(caller, parent.attr, 1) then return { 'EACCES' } end
local entry, old, object_ino, object
if #dirs == count and count > 0 then
  entry, old, object_ino, object = object_at(caller, parent.ino, name, directory)
end
failure = precondition_failure(ARGV[9], object_ino, object)
if failure then return { failure } end
-- A directory with entries is no object unless marked, but DELETE still takes its being explicit away.
local keeps = directory and old and call('ZCARD', P .. 'd' .. entry.ino) > 0
if not entry or (not directory and not object) or (keeps and has(old.flags, F_IMPLICIT) and not has(old.flags, F_MARKER)) then
  return finish({ 'OK' })
end
if keeps then
  if not may(caller, old, 2) then return { 'EACCES' } end
elseif not may(caller, parent.attr, 3) or not sticky_ok(caller, parent.attr, old) then
  return { 'EACCES' }
end

if keeps then
  old.flags = bit.bor(bit.band(old.flags, bit.bnot(bit.bor(F_MARKER, F_S3))), F_IMPLICIT)
  call('DEL', P .. 'o' .. entry.ino)
  touch_change(old)
  stale_inode(entry.ino, old.version)
  return finish({ 'OK', parent.ino, entry.ino, attr_set(entry.ino, old), {} })
end

entry_remove(parent.ino, entry)
stale_entry(parent.ino, name)
local packed
if directory then packed = dir_taken(entry.ino, old) else packed = name_taken(entry.ino, old, parent.ino) end
dir_changed(parent.ino, parent.attr, directory and -1 or 0)

-- Implicit parents go while they are empty, up to but not including the root.
local pruned = {}
for i = #dirs, 2, -1 do
  local dir, above = dirs[i], dirs[i - 1]
  if dir.linked or not has(dir.attr.flags, F_IMPLICIT) or call('ZCARD', P .. 'd' .. dir.ino) > 0 then break end
  if not may(caller, above.attr, 3) or not sticky_ok(caller, above.attr, dir.attr) then break end
  entry_remove(above.ino, dir.entry)
  stale_entry(above.ino, dir.entry.name)
  dir_taken(dir.ino, dir.attr)
  dir_changed(above.ino, above.attr, -1)
  pruned[#pruned + 1] = above.ino
  pruned[#pruned + 1] = dir.entry.name
  pruned[#pruned + 1] = dir.ino
end
return finish({ 'OK', parent.ino, entry.ino, packed, pruned })
