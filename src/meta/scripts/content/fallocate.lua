-- ARGV[4] ino, [5] 'extend', 'keep-size', 'punch', 'zero' or 'zero-keep-size', [6] offset, [7] length, [8] '1' clears
-- set-id bits. Space is not reserved: blocks are written when bytes come.
-- Returns {'OK', attributes, inline bytes of the volume}. Errors: ENOENT, EINVAL, EFBIG.
--@include core
--@include mutate
--@include map
--@include space
--@include slices
--@include pieces
local ino, mode, offset, length = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local a = attr_get(ino)
if not a then return { 'ENOENT' } end
if bit.band(a.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
local last = offset + length
if last > FILE_MAX then return { 'EFBIG' } end

local function attributes_changed()
  local packed = attr_set(ino, a)
  stale_inode(ino, a.version)
  return finish({ 'OK', packed, inline_total() })
end

drop_privileges(ino, a, ARGV[8] == '1')
if mode == 'keep-size' then
  touch_change(a)
  return attributes_changed()
end
local before = allocated(a)
if mode ~= 'extend' and offset < a.size then
  local stop = math.min(last, a.size)
  make_sparse(a)
  recount(ino, a, offset, stop, function() content_zero(ino, offset, stop) end)
end
if last > a.size and (mode == 'extend' or mode == 'zero') then
  if last > block_up(a.size) then make_sparse(a) end
  a.size = last
elseif mode == 'extend' then
  touch_change(a)
  return attributes_changed()
end
used_add(allocated(a) - before)
content_changed(a)
return attributes_changed()
