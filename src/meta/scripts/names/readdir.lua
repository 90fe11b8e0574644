-- A page of entries with attributes, by bytes of the stored members.
-- Returns {'OK', '1' when nothing follows, page}. The page is one string, since taking a reply of thousands of elements
-- apart costs more than all the rest: for each entry u16 length of the member, u8 length of the attributes (0: the inode
-- is missing), member, attributes.
-- Errors: ENOENT, ENOTDIR.
--@needs core attrs
local ino, limit = arg.ino, arg.limit
local from = arg.cursor == '' and '-' or '(' .. arg.cursor
local members = call('ZRANGEBYLEX', P .. 'd' .. ino, from, '+', 'LIMIT', 0, limit)
if #members == 0 then
  local a = attrs.get(ino)
  if not a then return { 'ENOENT' } end
  if not attrs.is_dir(a) then return { 'ENOTDIR' } end
  return { 'OK', '1', '' }
end
local keys = {}
for i, member in ipairs(members) do
  keys[i] = P .. 'i' .. string.match(member, '(%d+)~?$')
end
local found = call('MGET', unpack(keys))
local page = {}
for i, member in ipairs(members) do
  local packed = found[i] or ''
  page[3 * i - 2] = struct.pack('<I2I1', #member, #packed)
  page[3 * i - 1] = member
  page[3 * i] = packed
end
return { 'OK', #members < limit and '1' or '0', table.concat(page) }
