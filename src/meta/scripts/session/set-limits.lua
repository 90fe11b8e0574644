-- Limits of the volume (fields of `n`): 0 takes one away, -1 leaves it as it is. Returns {'OK'}.
--@shrinks
--@needs core mutate
for field, value in pairs({ maxBytes = arg.max_bytes, maxInodes = arg.max_inodes }) do
  if value > 0 then call('HSET', P .. 'n', field, fmt(value)) end
  if value == 0 then call('HDEL', P .. 'n', field) end
end
return mutate.finish({ 'OK' })
