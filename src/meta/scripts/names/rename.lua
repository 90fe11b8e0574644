-- rename(2) and renameat2(2) with NOREPLACE or EXCHANGE.
-- Returns {'OK', ino, attributes, attributes of the directory, of the new directory, ino and attributes of what stood
-- at the new name, or '' and ''}.
-- Errors: ENOENT, ENOTDIR, EISDIR, ENOTEMPTY, EEXIST (noreplace), EINVAL (into itself; a name that would hold two of
-- one kind), EACCES, EPERM (sticky directory; the trash), EIO.
--@shrinks
--@needs core attrs mutate stale times access entries inodes trash
local DEPTH_MAX = 100000
local parent, name, to, new_name, mode = arg.parent, arg.name, arg.new_parent, arg.new_name, arg.mode
local caller = arg.caller
local dir = attrs.get(parent)
local new_dir = parent == to and dir or attrs.get(to)
if not dir or not new_dir then return { 'ENOENT' } end
if not attrs.is_dir(dir) or not attrs.is_dir(new_dir) then return { 'ENOTDIR' } end
if not access.may(caller, dir, MAY_SEARCH) or not access.may(caller, new_dir, MAY_SEARCH) then return { 'EACCES' } end
local source = entries.find(parent, name, arg.kind)
if not source then return { 'ENOENT' } end
local target = entries.find(to, new_name, arg.new_kind)
if mode == 'noreplace' and target then return { 'EEXIST' } end
if mode == 'exchange' and not target then return { 'ENOENT' } end
if inodes.is_removed(new_dir) then return { 'ENOENT' } end
if not access.may(caller, dir, MAY_WRITE) or not access.may(caller, new_dir, MAY_WRITE) then return { 'EACCES' } end
local a = attrs.get(source.ino)
local b = target and attrs.get(target.ino)
if not a or (target and not b) then return { 'EIO', 'an entry whose inode is missing' } end
if not access.sticky_allows(caller, dir, a) or (b and not access.sticky_allows(caller, new_dir, b)) then return { 'EPERM' } end

-- Two names of one inode, or one name twice: nothing happens, as POSIX wants.
if target and target.ino == source.ino then
  return mutate.finish({ 'OK', source.ino, attrs.pack(a), attrs.pack(dir), attrs.pack(new_dir), '', '' })
end

-- Is `ino` the directory `below`, or above it? nil when the way up does not end.
local function is_above(ino, below)
  for _ = 1, DEPTH_MAX do
    if below == ino then return true end
    if below == '1' or below == '0' then return false end
    local at = attrs.get(below)
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
if parent ~= to and source.dir and not access.may(caller, a, MAY_WRITE) then return { 'EACCES' } end
if parent ~= to and exchange and target.dir and not access.may(caller, b, MAY_WRITE) then return { 'EACCES' } end

if (source.dir and trash.is_place(parent, source.ino)) or (target and target.dir and trash.is_place(to, target.ino)) then
  return { 'EPERM', 'the trash is on' }
end

local source_dir, target_dir = source.dir and 1 or 0, target and target.dir and 1 or 0
if exchange then
  local same_name = parent == to and name == new_name
  if source.dir ~= target.dir and not same_name
    and (entries.typed(parent, name, target.dir) or entries.typed(to, new_name, source.dir)) then
    return { 'EINVAL', 'a name would hold two entries of one kind' }
  end
elseif target then
  if source.dir and not target.dir then return { 'ENOTDIR' } end
  if target.dir and not source.dir then return { 'EISDIR' } end
  if target.dir and call('ZCARD', P .. 'd' .. target.ino) > 0 then return { 'ENOTEMPTY' } end
elseif arg.new_kind ~= 'p' and entries.find(to, new_name, 'p') then
  return { 'EINVAL', 'a shadowed entry is not made by rename' }
end

stale.entry(parent, name)
stale.entry(to, new_name)
local replaced = ''
if exchange then
  call('ZREM', P .. 'd' .. parent, source.member)
  call('ZREM', P .. 'd' .. to, target.member)
  entries.add(to, new_name, source.dir, source.ino, target.shadowed)
  entries.add(parent, name, target.dir, target.ino, source.shadowed)
  inodes.name_moved(target.ino, b, to, parent)
  times.change(b)
  stale.inode(target.ino, b.version)
  replaced = attrs.set(target.ino, b)
else
  entries.remove(parent, source)
  if target then entries.replace(to, target, source.ino) else entries.add(to, new_name, source.dir, source.ino, false) end
  if target then
    replaced = target.dir and inodes.dir_taken(target.ino, b, new_name) or inodes.name_taken(target.ino, b, to, new_name)
  end
end
inodes.name_moved(source.ino, a, parent, to)
times.change(a)
stale.inode(source.ino, a.version)
local packed = attrs.set(source.ino, a)

local left, came = -source_dir, source_dir - target_dir
if exchange then left = target_dir - source_dir end
local dir_packed, new_packed
if parent == to then
  dir_packed = inodes.dir_changed(parent, dir, left + came)
  new_packed = dir_packed
else
  dir_packed = inodes.dir_changed(parent, dir, left)
  new_packed = inodes.dir_changed(to, new_dir, came)
end
return mutate.finish({ 'OK', source.ino, packed, dir_packed, new_packed, target and target.ino or '', replaced })
