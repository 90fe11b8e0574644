-- Makes an empty volume: format record, counters, root directory.
-- Returns {'OK'}. Errors: EEXIST (the volume is there; nothing changed).
--@needs core now attrs
if call('EXISTS', P .. 'fmt') == 1 then return { 'EEXIST' } end
local s, n = now.s, now.ns
call('SET', P .. 'fmt', arg.format)
call('HSET', P .. 'n', 'ino', 1, 'sid', 0, 'bytes', 0, 'inodes', 0, 'inline', 0)
if arg.max_bytes > 0 then call('HSET', P .. 'n', 'maxBytes', fmt(arg.max_bytes)) end
if arg.max_inodes > 0 then call('HSET', P .. 'n', 'maxInodes', fmt(arg.max_inodes)) end
if #ARGV >= arg.users_at then call('HSET', P .. 'users', unpack(ARGV, arg.users_at)) end
attrs.set('1', { mode = S_IFDIR + arg.root_mode, uid = arg.root_uid, gid = arg.root_gid, nlink = 2,
  size = 4096, rdev = 0, flags = 0, as = s, an = n, ms = s, mn = n, cs = s, cn = n, bs = s, bn = n, parent = 1,
  version = 1, set_us = 0, alloc = 0 })
return { 'OK' }
