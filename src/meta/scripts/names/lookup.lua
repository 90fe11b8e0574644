-- Finds a directory entry.
-- KEYS[1] prefix. ARGV[1] directory, [2] name, [3] kind e, f or d (lib/names), [4] caller
-- Returns {'OK', ino, attributes, '1' when it is the younger of two of its name}.
-- Errors: ENOENT, ENOTDIR, EACCES (no search permission), EIO (an entry whose inode is missing).
--@include core
--@include names
--@include access
local parent, caller = ARGV[1], caller_of(ARGV[4])
local entry = entry_find(parent, ARGV[2], ARGV[3])
if caller or not entry then
  local dir = attr_get(parent)
  if not dir then return { 'ENOENT' } end
  if not is_dir(dir) then return { 'ENOTDIR' } end
  if not may(caller, dir, 1) then return { 'EACCES' } end
  if not entry then return { 'ENOENT' } end
end
local packed = call('GET', P .. 'i' .. entry.ino)
if not packed then return { 'EIO', 'entry of inode ' .. entry.ino .. ', which is missing' } end
return { 'OK', entry.ino, packed, entry.younger and '1' or '0' }
