-- Frees removed inodes that no session can have open: this is the only live one and does not. The others keep waiting.
-- ARGV[4] most records, [5...] inode numbers. Returns {'OK', inline bytes of the volume}.
--@include core
--@include mutate
--@include map
--@include space
--@include slices
--@include holds
--@include uploads
--@include reap
local left = { count = tonumber(ARGV[4]) }
if sole_session() then
  for i = 5, #ARGV do
    local ino = ARGV[i]
    local a = left.count > 0 and call('ZSCORE', P .. 'del', ino) and attr_get(ino)
    if a and a.nlink == 0 and not held(ino) and inode_free(ino, a, left) then call('ZREM', P .. 'del', ino) end
  end
end
return finish({ 'OK', inline_total() })
