-- Returns {'OK', attributes, inline bytes of the volume}. Errors: ENOENT, EINVAL, EFBIG.
--@needs attrs mutate stale times privileges usage space content
local ino, mode, offset, length = arg.ino, arg.mode, arg.offset, arg.length
local a = attrs.get(ino)
if not a then return { 'ENOENT' } end
if bit.band(a.mode, S_IFMT) ~= S_IFREG then return { 'EINVAL' } end
local last = offset + length
if last > FILE_BYTES_MAX then return { 'EFBIG' } end

local function attributes_changed()
  local packed = attrs.set(ino, a)
  stale.inode(ino, a.version)
  return mutate.finish({ 'OK', packed, usage.inline() })
end

privileges.drop(ino, a, arg.kill_priv)
if mode == 'keep-size' then
  times.change(a)
  return attributes_changed()
end
local before = space.allocated(a)
if mode ~= 'extend' and offset < a.size then
  local stop = math.min(last, a.size)
  space.make_sparse(a)
  space.recount(ino, a, offset, stop, function() content.zero(ino, offset, stop) end)
end
if last > a.size and (mode == 'extend' or mode == 'zero') then
  if last > space.block_up(a.size) then space.make_sparse(a) end
  a.size = last
elseif mode == 'extend' then
  times.change(a)
  return attributes_changed()
end
usage.add(space.allocated(a) - before)
content.changed(a)
return attributes_changed()
