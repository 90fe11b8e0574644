-- Top-level directories with valid bucket names, by name.
-- Returns {'OK', 'end' | 'more' (limit reached, there is more) | 'go', member to go on from, {name, ino, attributes,
-- 1 when shadowed}...}.
--@needs core buckets
local low, prefix, limit, steps = arg.low, arg.prefix, arg.limit, arg.steps
local reply, count = { 'OK', 'end', '' }, 0
while steps > 0 do
  local members = call('ZRANGEBYLEX', P .. 'd1', low, '+', 'LIMIT', 0, 200)
  for _, member in ipairs(members) do
    local at = string.find(member, '[%z/]')
    local name = string.sub(member, 1, at - 1)
    if string.sub(name, 1, #prefix) ~= prefix then return reply end
    local ino, shadowed = string.match(member, '^(%d+)(~?)$', at + 1)
    local packed = string.sub(member, at, at) == '/' and buckets.is_name(name) and call('GET', P .. 'i' .. ino)
    if packed then
      if count == limit then
        reply[2] = 'more'
        return reply
      end
      count = count + 1
      reply[count + 3] = { name, ino, packed, shadowed == '~' and 1 or 0 }
    end
    low = '(' .. member
    steps = steps - 1
  end
  if #members < 200 then return reply end
end
reply[2], reply[3] = 'go', low
return reply
