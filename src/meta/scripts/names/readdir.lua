-- A page of entries with attributes, by bytes of the stored members.
-- KEYS[1] prefix. ARGV[1] directory, [2] cursor ('' = from the start), [3] limit
-- Returns {'OK', '1' when nothing follows, page}. The page is one string, since taking a reply of thousands of elements
-- apart costs more than all the rest: for each entry u16 length of the member, u8 length of the attributes (0: the inode
-- is missing), member, attributes.
-- Errors: ENOENT, ENOTDIR.
--@include core
local ino, limit = ARGV[1], tonumber(ARGV[3])
local from = ARGV[2] == '' and '-' or '(' .. ARGV[2]
local members = call('ZRANGEBYLEX', P .. 'd' .. ino, from, '+', 'LIMIT', 0, limit)
if #members == 0 then
  local a = attr_get(ino)
  if not a then return { 'ENOENT' } end
  if not is_dir(a) then return { 'ENOTDIR' } end
  return { 'OK', '1', '' }
end
local keys = {}
for i, member in ipairs(members) do
  keys[i] = P .. 'i' .. string.match(member, '(%d+)~?$')
end
local attrs = call('MGET', unpack(keys))
local page = {}
for i, member in ipairs(members) do
  local packed = attrs[i] or ''
  page[3 * i - 2] = struct.pack('<I2I1', #member, #packed)
  page[3 * i - 1] = member
  page[3 * i] = packed
end
return { 'OK', #members < limit and '1' or '0', table.concat(page) }
