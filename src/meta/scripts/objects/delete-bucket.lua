-- Removes a bucket in which nothing would be listed: first the implicit directories that hold nothing, bounded, then
-- the bucket. Its uploads go when `reap` frees the inode. Entries that S3 does not list (fifos, dangling links) count as
-- content: S3 never deletes what it cannot show.
-- Returns {'OK', 'yes', ino, attributes}, {'OK', 'no'} (not empty) or {'OK', 'more'}. Errors: ENOENT, EACCES.
--@shrinks
--@needs core attrs mutate stale entries inodes buckets
local name, caller, left = arg.name, arg.caller, arg.most
local entry = buckets.is_name(name) and entries.typed('1', name, true)
if not entry then return { 'ENOENT' } end
local root, bucket = attrs.get('1'), attrs.get(entry.ino)
if caller and caller.uid ~= 0 and caller.uid ~= bucket.uid then return { 'EACCES' } end

-- Removes implicit empty directories below a directory, bottom up.
local function sweep(ino, a)
  while true do
    local member = call('ZRANGE', P .. 'd' .. ino, 0, 0)[1]
    if not member then return 'yes' end
    local slash = string.find(member, '[%z/]')
    if string.sub(member, slash, slash) ~= '/' then return 'no' end
    local child = entries.typed(ino, string.sub(member, 1, slash - 1), true)
    local child_attr = attrs.get(child.ino)
    if not has(child_attr.flags, FLAG_IMPLICIT) or has(child_attr.flags, FLAG_MARKER) then return 'no' end
    local state = sweep(child.ino, child_attr)
    if state ~= 'yes' then return state end
    if left <= 0 then return 'more' end
    left = left - 1
    entries.remove(ino, child)
    stale.entry(ino, child.name)
    inodes.dir_taken(child.ino, child_attr, child.name)
    inodes.dir_changed(ino, a, -1)
  end
end

local state = sweep(entry.ino, bucket)
if state ~= 'yes' then return mutate.finish({ 'OK', state }) end
entries.remove('1', entry)
stale.entry('1', name)
inodes.dir_changed('1', root, -1)
return mutate.finish({ 'OK', 'yes', entry.ino, inodes.dir_taken(entry.ino, bucket, name) })
