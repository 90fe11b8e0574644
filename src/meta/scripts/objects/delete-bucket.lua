-- Removes a bucket in which nothing would be listed: first the implicit directories that hold nothing, bounded, then
-- the bucket. Its uploads go when `reap` frees the inode. Entries that S3 does not list (fifos, dangling links) count as
-- content: S3 never deletes what it cannot show.
-- ARGV[4] name, [5] caller, [6] most directories to remove in this call
-- Returns {'OK', 'yes', ino, attributes}, {'OK', 'no'} (not empty) or {'OK', 'more'}. Errors: ENOENT, EACCES.
--@include core
--@include mutate
--@include names
--@include inodes
--@include access
--@include buckets
local name, caller, left = ARGV[4], caller_of(ARGV[5]), tonumber(ARGV[6])
local entry = is_bucket_name(name) and entry_typed('1', name, true)
if not entry then return { 'ENOENT' } end
local root, bucket = attr_get('1'), attr_get(entry.ino)
if caller and caller.uid ~= 0 and caller.uid ~= bucket.uid then return { 'EACCES' } end

-- Removes implicit empty directories below a directory, bottom up.
local function sweep(ino, a)
  while true do
    local member = call('ZRANGE', P .. 'd' .. ino, 0, 0)[1]
    if not member then return 'yes' end
    local slash = string.find(member, '[%z/]')
    if string.sub(member, slash, slash) ~= '/' then return 'no' end
    local child = entry_typed(ino, string.sub(member, 1, slash - 1), true)
    local child_attr = attr_get(child.ino)
    if not has(child_attr.flags, F_IMPLICIT) or has(child_attr.flags, F_MARKER) then return 'no' end
    local state = sweep(child.ino, child_attr)
    if state ~= 'yes' then return state end
    if left <= 0 then return 'more' end
    left = left - 1
    entry_remove(ino, child)
    stale_entry(ino, child.name)
    dir_taken(child.ino, child_attr)
    dir_changed(ino, a, -1)
  end
end

local state = sweep(entry.ino, bucket)
if state ~= 'yes' then return finish({ 'OK', state }) end
entry_remove('1', entry)
stale_entry('1', name)
dir_changed('1', root, -1)
return finish({ 'OK', 'yes', entry.ino, dir_taken(entry.ino, bucket) })
