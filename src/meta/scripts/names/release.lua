-- This session's last handle of an unlinked or hidden inode closed. When nobody keeps it, it may go: at the time its
-- unlink set, or now when that is over (reap took it out of `del` while it was kept).
-- KEYS[1] prefix. ARGV[4] ino. Returns {'OK'}.
--@include core
--@include mutate
--@include holds
local ino = ARGV[4]
-- An inode that has passed to a name or to an upload meanwhile is no longer this session's to give up.
if unhold(ino, SID) and not held(ino) then
  local a = attr_get(ino)
  if a and a.nlink == 0 then call('ZADD', P .. 'del', 'NX', fmt(NOW_MS), ino) end
end
return finish({ 'OK' })
