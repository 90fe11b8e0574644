-- This session's last handle of an unlinked or hidden inode closed. When nobody keeps it, it may go: at the time its
-- unlink set, or now when that is over (reap took it out of `del` while it was kept).
-- Returns {'OK'}.
--@shrinks
--@needs core now attrs mutate holds
local ino = arg.ino
-- An inode that has passed to a name or to an upload meanwhile is no longer this session's to give up.
if holds.release(ino, mutate.sid) and not holds.held(ino) then
  local a = attrs.get(ino)
  if a and a.nlink == 0 then call('ZADD', P .. 'del', 'NX', fmt(now.ms), ino) end
end
return mutate.finish({ 'OK' })
