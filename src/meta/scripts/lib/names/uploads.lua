-- Multipart uploads.
--
--   up<root>   zset, all score 0: `key NUL id`, so that byte order is key order, then order of initiation
--   up:<id>    hash: r root, k key, o owner, m initiated (ms), s S3 record (JSON), a checksum algorithm,
--              x user.* attributes
--   upp:<id>   hash: part number -> <I8I8I8 ino, size, modified ms, then JSON. The inodes are hidden and the upload's.
--   done:<id>  string: etag of a completed upload, kept one day
--   del        also holds `u<id>`: an upload whose parts are to be freed
--@needs core now
local uploads = {}

-- Fields of an upload of that root and key, or nil.
function uploads.get(id, root, key)
  local fields = call('HMGET', P .. 'up:' .. id, 'r', 'k', 'o', 'm', 's', 'a', 'x')
  if not fields[1] or fields[1] ~= root or fields[2] ~= key then return nil end
  return fields
end

-- The upload vanishes (completed or aborted); `reap` frees its parts' inodes step by step.
function uploads.remove(id)
  local upload = call('HMGET', P .. 'up:' .. id, 'r', 'k')
  if not upload[1] then return end
  call('ZREM', P .. 'up' .. upload[1], upload[2] .. '\0' .. id)
  call('DEL', P .. 'up:' .. id)
  if call('EXISTS', P .. 'upp:' .. id) == 1 then call('ZADD', P .. 'del', now.ms, 'u' .. id) end
end
