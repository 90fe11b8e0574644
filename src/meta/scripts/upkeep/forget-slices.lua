-- The objects of these slices are gone. Returns {'OK'}.
--@shrinks
--@needs core mutate
call('ZREM', P .. 'gc', unpack(ARGV, arg.slices_at))
return mutate.finish({ 'OK' })
