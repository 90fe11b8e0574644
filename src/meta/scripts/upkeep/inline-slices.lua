-- The oldest inline slices. ARGV[1] youngest commit time wanted (ms, '+inf' for all), [2] limit
-- Returns {'OK', members of inq (<I8I8I4I4 id, ino, chunk, size)...}.
--@include core
return { 'OK', unpack(call('ZRANGEBYSCORE', P .. 'inq', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) }
