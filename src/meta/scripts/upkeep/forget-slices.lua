-- The objects of these slices are gone. ARGV[4...] `id:size`. Returns {'OK'}.
--@include core
--@include mutate
call('ZREM', P .. 'gc', unpack(ARGV, 4))
return finish({ 'OK' })
