-- A page of entries with attributes, by bytes of the stored members.
-- KEYS[1] prefix. ARGV[1] directory, [2] cursor ('' = from the start), [3] limit
-- Returns {'OK', '1' when nothing follows, member, attributes, member, attributes...}.
-- Errors: ENOENT, ENOTDIR.
--@include core
local ino, limit = ARGV[1], tonumber(ARGV[3])
local from = ARGV[2] == '' and '-' or '(' .. ARGV[2]
local members = call('ZRANGEBYLEX', P .. 'd' .. ino, from, '+', 'LIMIT', 0, limit)
if #members == 0 then
  local a = attr_get(ino)
  if not a then return { 'ENOENT' } end
  if not is_dir(a) then return { 'ENOTDIR' } end
  return { 'OK', '1' }
end
local keys = {}
for i, member in ipairs(members) do
  keys[i] = P .. 'i' .. string.match(member, '(%d+)~?$')
end
local attrs = call('MGET', unpack(keys))
local reply = { 'OK', #members < limit and '1' or '0' }
for i, member in ipairs(members) do
  reply[2 * i + 1] = member
  reply[2 * i + 2] = attrs[i] or ''
end
return reply
