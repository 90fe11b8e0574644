-- Sets where this session serves (mount point or listen address).
-- KEYS[1] prefix. ARGV[4] text. Returns {'OK'}.
--@include core
--@include mutate
call('HSET', SES, 'where', ARGV[4])
return finish({ 'OK' })
