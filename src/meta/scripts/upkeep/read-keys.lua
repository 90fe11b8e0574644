-- Whole values of keys, all as of one moment, and a message on the channel `dump:<mark>` that comes behind the notifications of
-- everything before it. For dumps (src/dump).
-- Returns {'OK', a list {key, type, elements...} for each}.
--@needs core
local found = {}
local readers = {
  string = function(key) return { call('GET', key) } end,
  hash = function(key) return call('HGETALL', key) end,
  zset = function(key) return call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
}
for at = arg.keys_at, #ARGV do
  local key = P .. ARGV[at]
  local kind = call('TYPE', key).ok
  local read = readers[kind]
  found[#found + 1] = { ARGV[at], read and kind or 'none', read and read(key) or {} }
end
call('PUBLISH', P .. 'dump:' .. arg.mark, '')
return { 'OK', unpack(found) }
