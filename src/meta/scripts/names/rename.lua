-- rename(2) and renameat2(2) with NOREPLACE or EXCHANGE.
-- KEYS[1] prefix. ARGV[4] directory, [5] name, [6] kind; [7] new directory, [8] new name, [9] new kind (lib/names);
-- [10] 'replace', 'noreplace' or 'exchange', [11] caller
-- Returns {'OK', ino, attributes, attributes of the directory, of the new directory, ino and attributes of what stood
-- at the new name, or '' and ''}.
-- Errors: ENOENT, ENOTDIR, EISDIR, ENOTEMPTY, EEXIST (noreplace), EINVAL (into itself; a name that would hold two of
-- one kind), EACCES, EPERM (sticky directory), EIO.
--@include core
--@include mutate
--@include names
--@include access
--@include inodes
local DEPTH_MAX = 100000
local parent, name, to, new_name, mode = ARGV[4], ARGV[5], ARGV[7], ARGV[8], ARGV[10]
local caller = caller_of(ARGV[11])
local dir = attr_get(parent)
local new_dir = parent == to and dir or attr_get(to)
if not dir or not new_dir then return { 'ENOENT' } end
if not is_dir(dir) or not is_dir(new_dir) then return { 'ENOTDIR' } end
if not may(caller, dir, 1) or not may(caller, new_dir, 1) then return { 'EACCES' } end
local source = entry_find(parent, name, ARGV[6])
if not source then return { 'ENOENT' } end
local target = entry_find(to, new_name, ARGV[9])
if mode == 'noreplace' and target then return { 'EEXIST' } end
if mode == 'exchange' and not target then return { 'ENOENT' } end
if is_removed(new_dir) then return { 'ENOENT' } end
if not may(caller, dir, 2) or not may(caller, new_dir, 2) then return { 'EACCES' } end
local a = attr_get(source.ino)
local b = target and attr_get(target.ino)
if not a or (target and not b) then return { 'EIO', 'an entry whose inode is missing' } end
if not sticky_ok(caller, dir, a) or (b and not sticky_ok(caller, new_dir, b)) then return { 'EPERM' } end

-- Two names of one inode, or one name twice: nothing happens, as POSIX wants.
if target and target.ino == source.ino then
  return finish({ 'OK', source.ino, attr_pack(a), attr_pack(dir), attr_pack(new_dir), '', '' })
end

-- Is `ino` the directory `below`, or above it? nil when the way up does not end.
local function is_above(ino, below)
  for _ = 1, DEPTH_MAX do
    if below == ino then return true end
    if below == '1' or below == '0' then return false end
    local at = attr_get(below)
    if not at then return false end
    below = fmt(at.parent)
  end
  return nil
end

local function moves_into_itself(entry, from, into)
  return entry.dir and from ~= into and is_above(entry.ino, into) ~= false
end

local exchange = mode == 'exchange'
if moves_into_itself(source, parent, to) then return { 'EINVAL', 'a directory cannot move below itself' } end
if exchange and moves_into_itself(target, to, parent) then return { 'EINVAL', 'a directory cannot move below itself' } end
-- Moving a directory changes its '..'.
if parent ~= to and source.dir and not may(caller, a, 2) then return { 'EACCES' } end
if parent ~= to and exchange and target.dir and not may(caller, b, 2) then return { 'EACCES' } end

local source_dir, target_dir = source.dir and 1 or 0, target and target.dir and 1 or 0
if exchange then
  local same_name = parent == to and name == new_name
  if source.dir ~= target.dir and not same_name
    and (entry_typed(parent, name, target.dir) or entry_typed(to, new_name, source.dir)) then
    return { 'EINVAL', 'a name would hold two entries of one kind' }
  end
elseif target then
  if source.dir and not target.dir then return { 'ENOTDIR' } end
  if target.dir and not source.dir then return { 'EISDIR' } end
  if target.dir and call('ZCARD', P .. 'd' .. target.ino) > 0 then return { 'ENOTEMPTY' } end
elseif ARGV[9] ~= 'e' and entry_find(to, new_name, 'e') then
  return { 'EINVAL', 'the younger of two entries of a name is not made by rename' }
end

stale_entry(parent, name)
stale_entry(to, new_name)
local replaced = ''
if exchange then
  call('ZREM', P .. 'd' .. parent, source.member)
  call('ZREM', P .. 'd' .. to, target.member)
  entry_add(to, new_name, source.dir, source.ino, target.younger)
  entry_add(parent, name, target.dir, target.ino, source.younger)
  name_moved(target.ino, b, to, parent)
  touch_change(b)
  stale_inode(target.ino, b.version)
  replaced = attr_set(target.ino, b)
else
  entry_remove(parent, source)
  if target then entry_replace(to, target, source.ino) else entry_add(to, new_name, source.dir, source.ino, false) end
  if target then
    replaced = target.dir and dir_taken(target.ino, b) or name_taken(target.ino, b, to)
  end
end
name_moved(source.ino, a, parent, to)
touch_change(a)
stale_inode(source.ino, a.version)
local packed = attr_set(source.ino, a)

local left, came = -source_dir, source_dir - target_dir
if exchange then left = target_dir - source_dir end
local dir_packed, new_packed
if parent == to then
  dir_packed = dir_changed(parent, dir, left + came)
  new_packed = dir_packed
else
  dir_packed = dir_changed(parent, dir, left)
  new_packed = dir_changed(to, new_dir, came)
end
return finish({ 'OK', source.ino, packed, dir_packed, new_packed, target and target.ino or '', replaced })
