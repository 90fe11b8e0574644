-- Begins a multipart upload. Returns {'OK', id, initiated ms}. Errors: ENOENT (no such root).
--@needs core now attrs mutate
local root = attrs.get(arg.root)
if not root or not attrs.is_dir(root) or root.nlink == 0 then return { 'ENOENT' } end
local id = string.format('%012x', now.ms) .. arg.random
call('ZADD', P .. 'up' .. arg.root, 0, arg.key .. '\0' .. id)
call('HSET', P .. 'up:' .. id, 'r', arg.root, 'k', arg.key, 'o', arg.owner, 'm', fmt(now.ms), 's', arg.s3, 'a', arg.checksum_algorithm,
  'x', arg.xattrs)
return mutate.finish({ 'OK', id, fmt(now.ms) })
