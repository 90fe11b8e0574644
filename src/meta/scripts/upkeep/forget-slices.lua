-- The objects of these slices (`id:size`) are gone. Returns {'OK'}.
--@shrinks
--@needs core mutate slices
local ids = {}
for i = arg.slices_at, #ARGV do ids[#ids + 1] = string.match(ARGV[i], '^%d+') end
slices.unsettle(ids)
call('ZREM', P .. 'gc', unpack(ARGV, arg.slices_at))
return mutate.finish({ 'OK' })
