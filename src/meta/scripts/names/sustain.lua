-- This session has these inodes open: those without a name are kept until it releases them or ends.
-- Returns {'OK', ino, attributes, ino, attributes...} of those that still exist.
--@shrinks
--@needs attrs mutate holds
local reply = { 'OK' }
for i = arg.inos_at, #ARGV do
  local a, packed = attrs.get(ARGV[i])
  if a then
    if a.nlink == 0 then holds.keep(ARGV[i]) end
    reply[#reply + 1] = ARGV[i]
    reply[#reply + 1] = packed
  end
end
return mutate.finish(reply)
