-- Keeping and giving up inodes without a name.
--
--   open:<sid>  set: unlinked or hidden inodes this session has open
--   os<ino>     set: sessions that have the inode open; `reap` leaves it alone while the set is there
--   del         zset: inodes without a name, by the time (ms) they may go
--@needs core now mutate stale
local holds = {}

function holds.keep(ino)
  call('SADD', P .. 'open:' .. mutate.sid, ino)
  call('SADD', P .. 'os' .. ino, mutate.sid)
end

-- Answers whether that session had kept it.
function holds.release(ino, sid)
  call('SREM', P .. 'open:' .. sid, ino)
  return call('SREM', P .. 'os' .. ino, sid) == 1
end

function holds.held(ino)
  return call('EXISTS', P .. 'os' .. ino) == 1
end

-- There is no other session that could have an inode open without having said so. One past its lease may yet go on.
function holds.sole_session()
  return call('ZCARD', P .. 'ses') <= 1
end

-- The inode lost its last name: it waits in `del` (score = when it may go, ms) until no session can have it open.
function holds.orphan(ino)
  call('ZADD', P .. 'del', now.ms + tonumber(call('HGET', P .. 'n', 'graceMs') or '75000'), ino)
  stale.unlinked(ino)
end
