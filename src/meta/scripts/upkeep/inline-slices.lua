-- The oldest inline slices. Returns {'OK', members of inq (<I8I8I4I4 id, ino, chunk, size)...}.
--@needs core
return { 'OK', unpack(call('ZRANGEBYSCORE', P .. 'inq', '-inf', arg.youngest, 'LIMIT', 0, arg.limit)) }
