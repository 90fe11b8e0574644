-- Finds a directory entry.
-- Returns {'OK', ino, attributes, '1' when it is shadowed by another entry of its name}.
-- Errors: ENOENT, ENOTDIR, EACCES (no search permission), EIO (an entry whose inode is missing).
--@needs core attrs access entries
local parent, caller = arg.parent, arg.caller
local entry = entries.find(parent, arg.name, arg.kind)
if caller or not entry then
  local dir = attrs.get(parent)
  if not dir then return { 'ENOENT' } end
  if not attrs.is_dir(dir) then return { 'ENOTDIR' } end
  if not access.may(caller, dir, MAY_SEARCH) then return { 'EACCES' } end
  if not entry then return { 'ENOENT' } end
end
local packed = call('GET', P .. 'i' .. entry.ino)
if not packed then return { 'EIO', 'entry of inode ' .. entry.ino .. ', which is missing' } end
return { 'OK', entry.ino, packed, entry.shadowed and '1' or '0' }
