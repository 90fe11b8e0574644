-- Sets where this session serves (mount point or listen address).
-- Returns {'OK'}.
--@shrinks
--@needs core mutate
call('HSET', mutate.key, 'where', arg.where)
return mutate.finish({ 'OK' })
