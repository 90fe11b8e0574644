-- Included (after core and mutate) by scripts that keep or free inodes without a name.
--
--   open:<sid>  set: unlinked or hidden inodes this session has open
--   os<ino>     set: sessions that have the inode open; `reap` leaves it alone while the set is there
--   del         zset: inodes without a name, by the time (ms) they may go

local function hold(ino)
  call('SADD', P .. 'open:' .. SID, ino)
  call('SADD', P .. 'os' .. ino, SID)
end

-- Answers whether that session had kept it.
local function unhold(ino, sid)
  call('SREM', P .. 'open:' .. sid, ino)
  return call('SREM', P .. 'os' .. ino, sid) == 1
end

local function held(ino)
  return call('EXISTS', P .. 'os' .. ino) == 1
end

-- No other session is alive that could have an inode open without having said so.
local function sole_session()
  return call('ZCOUNT', P .. 'ses', '(' .. fmt(NOW_MS), '+inf') <= 1
end
