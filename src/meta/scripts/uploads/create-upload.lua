-- Begins a multipart upload. ARGV[4] root, [5] key, [6] owner, [7] S3 record, [8] checksum algorithm, [9] xattrs,
-- [10] random part of the id. Returns {'OK', id, initiated ms}. Errors: ENOENT (no such root).
--@include core
--@include mutate
local root = attr_get(ARGV[4])
if not root or not is_dir(root) or root.nlink == 0 then return { 'ENOENT' } end
local id = string.format('%012x', NOW_MS) .. ARGV[10]
call('ZADD', P .. 'up' .. ARGV[4], 0, ARGV[5] .. '\0' .. id)
call('HSET', P .. 'up:' .. id, 'r', ARGV[4], 'k', ARGV[5], 'o', ARGV[6], 'm', fmt(NOW_MS), 's', ARGV[7], 'a', ARGV[8],
  'x', ARGV[9])
return finish({ 'OK', id, fmt(NOW_MS) })
