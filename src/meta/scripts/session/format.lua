-- Makes an empty volume: format record, counters, root directory.
-- KEYS[1] prefix. ARGV[1] format as JSON, [2] mode of the root (decimal), [3] its uid, [4] its gid,
-- [5...] pairs of user name and user JSON
-- Returns {'OK'}. Errors: EEXIST (the volume is there; nothing changed).
--@include core
if redis.replicate_commands then redis.replicate_commands() end
if call('EXISTS', P .. 'fmt') == 1 then return { 'EEXIST' } end
local time = call('TIME')
local s, n = tonumber(time[1]), tonumber(time[2]) * 1000
call('SET', P .. 'fmt', ARGV[1])
call('HSET', P .. 'n', 'ino', 1, 'sid', 0, 'bytes', 0, 'inodes', 0, 'inline', 0)
if #ARGV > 4 then call('HSET', P .. 'users', unpack(ARGV, 5)) end
attr_set('1', { mode = S_IFDIR + tonumber(ARGV[2]), uid = tonumber(ARGV[3]), gid = tonumber(ARGV[4]), nlink = 2,
  size = 4096, rdev = 0, flags = 0, as = s, an = n, ms = s, mn = n, cs = s, cn = n, bs = s, bn = n, parent = 1,
  version = 1, set_us = 0, alloc = 0 })
return { 'OK' }
