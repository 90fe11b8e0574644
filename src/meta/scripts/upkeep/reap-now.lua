-- Frees removed inodes that no session can have open: this is the only live one and does not. The others keep waiting.
-- Returns {'OK', inline bytes of the volume}.
--@shrinks
--@needs core attrs mutate holds usage freeing
local left = { count = arg.records_max }
if holds.sole_session() then
  for i = arg.inos_at, #ARGV do
    local ino = ARGV[i]
    local a = left.count > 0 and call('ZSCORE', P .. 'del', ino) and attrs.get(ino)
    if a and a.nlink == 0 and not holds.held(ino) and freeing.inode(ino, a, left) then call('ZREM', P .. 'del', ino) end
  end
end
return mutate.finish({ 'OK', usage.inline() })
