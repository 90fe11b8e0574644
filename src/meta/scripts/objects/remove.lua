-- Takes a key away, and the implicit directories that it leaves empty. Nothing there is success.
-- Returns {'OK'} (there was nothing) or {'OK', parent, ino, attributes after, {parent, name, ino... of pruned
-- directories}}. Errors: ENOENT (root gone, or a condition without an object), ECANCELED, EACCES, ELOOP.
--@shrinks
--@needs core attrs mutate stale times access entries inodes links paths objects
local components, directory, caller = arg.components, arg.directory, arg.caller
local count = #components
local name = components[count]

local dirs, failure = paths.walk(caller, arg.root, components, count - 1, links.budget())
if not dirs then return { failure } end
local parent = dirs[#dirs]
if not access.may(caller, parent.attr, MAY_SEARCH) then return { 'EACCES' } end
local entry, old, object_ino, object
if #dirs == count and count > 0 then
  entry, old, object_ino, object = objects.at(caller, parent.ino, name, directory)
end
failure = objects.precondition_failure(arg.precondition, object_ino, object)
if failure then return { failure } end
-- A directory with entries is no object unless marked, but DELETE still takes its being explicit away.
local keeps = directory and old and call('ZCARD', P .. 'd' .. entry.ino) > 0
if not entry or (not directory and not object) or (keeps and has(old.flags, FLAG_IMPLICIT) and not has(old.flags, FLAG_MARKER)) then
  return mutate.finish({ 'OK' })
end
if keeps then
  if not access.may(caller, old, MAY_WRITE) then return { 'EACCES' } end
elseif not access.may(caller, parent.attr, MAY_WRITE + MAY_SEARCH) or not access.sticky_allows(caller, parent.attr, old) then
  return { 'EACCES' }
end

if keeps then
  old.flags = bit.bor(bit.band(old.flags, bit.bnot(bit.bor(FLAG_MARKER, FLAG_S3))), FLAG_IMPLICIT)
  call('DEL', P .. 'o' .. entry.ino)
  times.change(old)
  stale.inode(entry.ino, old.version)
  return mutate.finish({ 'OK', parent.ino, entry.ino, attrs.set(entry.ino, old), {} })
end

entries.remove(parent.ino, entry)
stale.entry(parent.ino, name)
local packed
if directory then
  packed = inodes.dir_taken(entry.ino, old, name)
else
  packed = inodes.name_taken(entry.ino, old, parent.ino, name)
end
inodes.dir_changed(parent.ino, parent.attr, directory and -1 or 0)

-- Implicit parents go while they are empty, up to but not including the root.
local pruned = {}
for i = #dirs, 2, -1 do
  local dir, above = dirs[i], dirs[i - 1]
  if dir.linked or not has(dir.attr.flags, FLAG_IMPLICIT) or call('ZCARD', P .. 'd' .. dir.ino) > 0 then break end
  if not access.may(caller, above.attr, MAY_WRITE + MAY_SEARCH) or not access.sticky_allows(caller, above.attr, dir.attr) then break end
  entries.remove(above.ino, dir.entry)
  stale.entry(above.ino, dir.entry.name)
  inodes.dir_taken(dir.ino, dir.attr, dir.entry.name)
  inodes.dir_changed(above.ino, above.attr, -1)
  pruned[#pruned + 1] = above.ino
  pruned[#pruned + 1] = dir.entry.name
  pruned[#pruned + 1] = dir.ino
end
return mutate.finish({ 'OK', parent.ino, entry.ino, packed, pruned })
