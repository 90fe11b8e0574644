-- Freeing inodes without a name.
--@needs core now attrs usage map slices space uploads
local freeing = {}

-- Frees content and keys of an inode. `left.count` bounds the records and uploads touched; answers false when there is
-- more to do in another call.
function freeing.inode(ino, a, left)
  if bit.band(a.mode, S_IFMT) == S_IFREG then
    for _, chunk in ipairs(map.chunks(ino, 0, FILE_BYTES_MAX / CHUNK_BYTES, 200)) do
      if left.count <= 0 then return false end
      left.count = left.count - 1 - slices.drop_chunk(ino, chunk)
    end
    if #map.chunks(ino, 0, FILE_BYTES_MAX / CHUNK_BYTES, 1) > 0 then return false end
  elseif attrs.is_dir(a) then
    for _, member in ipairs(call('ZRANGE', P .. 'up' .. ino, 0, 99)) do
      if left.count <= 0 then return false end
      left.count = left.count - 1
      uploads.remove(string.sub(member, string.find(member, '%z') + 1))
    end
    if call('EXISTS', P .. 'up' .. ino) == 1 then return false end
  end
  call('DEL', P .. 'i' .. ino, P .. 'd' .. ino, P .. 'x' .. ino, P .. 'o' .. ino, P .. 'p' .. ino, P .. 'l' .. ino,
    P .. 'a' .. ino, P .. 'k' .. ino)
  call('HINCRBY', P .. 'n', 'inodes', -1)
  if not attrs.is_dir(a) then usage.add(-space.allocated(a)) end
  left.count = left.count - 1
  return true
end

-- Hands an abandoned upload's part inodes to `del`; answers false when there are more.
function freeing.parts(id, left)
  local parts = call('HSCAN', P .. 'upp:' .. id, 0, 'COUNT', 200)[2]
  for i = 1, #parts, 2 do
    call('HDEL', P .. 'upp:' .. id, parts[i])
    call('ZADD', P .. 'del', 'NX', now.ms, fmt(struct.unpack('<I8', parts[i + 1])))
    left.count = left.count - 1
  end
  return call('EXISTS', P .. 'upp:' .. id) == 0
end
