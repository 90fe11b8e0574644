-- Uploads of a root in key order, then order of initiation. Returns {'OK', 1 when there are more, {id, fields of lib/uploads in order...}...}.
--@needs core uploads
local root, prefix, low, limit = arg.root, arg.prefix, arg.low, arg.limit
local reply = { 'OK', 0 }
for _, member in ipairs(call('ZRANGEBYLEX', P .. 'up' .. root, low, '+', 'LIMIT', 0, limit + 1)) do
  if string.sub(member, 1, #prefix) ~= prefix then break end
  if #reply - 2 == limit then
    reply[2] = 1
    break
  end
  local at = string.find(member, '%z')
  local id = string.sub(member, at + 1)
  local fields = uploads.get(id, root, string.sub(member, 1, at - 1))
  if fields then reply[#reply + 1] = { id, unpack(fields) } end
end
return reply
