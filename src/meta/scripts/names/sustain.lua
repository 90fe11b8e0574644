-- This session has these inodes open: those without a name are kept until it releases them or ends.
-- KEYS[1] prefix. ARGV[4...] inos, at most 100
-- Returns {'OK', ino, attributes, ino, attributes...} of those that still exist.
--@include core
--@include mutate
--@include holds
local reply = { 'OK' }
for i = 4, #ARGV do
  local a, packed = attr_get(ARGV[i])
  if a then
    if a.nlink == 0 then hold(ARGV[i]) end
    reply[#reply + 1] = ARGV[i]
    reply[#reply + 1] = packed
  end
end
return finish(reply)
