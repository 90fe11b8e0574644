-- Uploads of a root in key order, then order of initiation. ARGV[1] root, [2] prefix, [3] first member wanted
-- (ZRANGEBYLEX form), [4] limit
-- Returns {'OK', 1 when there are more, {id, fields of lib/uploads in order...}...}.
--@include core
--@include uploads
local root, prefix, low, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local reply = { 'OK', 0 }
for _, member in ipairs(call('ZRANGEBYLEX', P .. 'up' .. root, low, '+', 'LIMIT', 0, limit + 1)) do
  if string.sub(member, 1, #prefix) ~= prefix then break end
  if #reply - 2 == limit then
    reply[2] = 1
    break
  end
  local at = string.find(member, '%z')
  local id = string.sub(member, at + 1)
  local fields = upload_get(id, root, string.sub(member, 1, at - 1))
  if fields then reply[#reply + 1] = { id, unpack(fields) } end
end
return reply
