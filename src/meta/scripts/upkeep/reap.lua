-- Frees what waits in `del` and whose grace is over; gives up packs whose upload took too long. Bounded.
-- Returns {'OK', inodes freed, 1 when more wait, inline bytes of the volume}.
--@shrinks
--@needs core now attrs mutate holds usage packs freeing
local limit, left = arg.limit, { count = arg.records_max }
local reaped = 0

for _, member in ipairs(call('ZRANGEBYSCORE', P .. 'pkup', '-inf', fmt(now.ms))) do
  call('ZREM', P .. 'pkup', member)
  local id = string.match(member, '^%d+')
  local pack = call('HGET', P .. 'pk', id)
  if pack then
    local live, total = struct.unpack('<I8I8', pack)
    packs.add_live(tonumber(id), live, total, 0)
  end
end

for _, ino in ipairs(call('ZRANGEBYSCORE', P .. 'del', '-inf', fmt(now.ms), 'LIMIT', 0, limit)) do
  if left.count <= 0 then break end
  local is_upload = string.sub(ino, 1, 1) == 'u'
  local a = not is_upload and attrs.get(ino)
  if is_upload then
    if freeing.parts(string.sub(ino, 2), left) then call('ZREM', P .. 'del', ino) end
  elseif not a or a.nlink > 0 or holds.held(ino) then
    -- Freed before, linked again, or open: release() and the end of its sessions bring it back.
    call('ZREM', P .. 'del', ino)
  elseif freeing.inode(ino, a, left) then
    call('ZREM', P .. 'del', ino)
    reaped = reaped + 1
  end
end
local more = #call('ZRANGEBYSCORE', P .. 'del', '-inf', fmt(now.ms), 'LIMIT', 0, 1)
return mutate.finish({ 'OK', reaped, more, usage.inline() })
