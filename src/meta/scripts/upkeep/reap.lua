-- Frees what waits in `del` and whose grace is over; gives up packs whose upload took too long. Bounded.
-- ARGV[4] most inodes, [5] most records
-- Returns {'OK', inodes freed, 1 when more wait, inline bytes of the volume}.
--@include core
--@include mutate
--@include map
--@include space
--@include slices
--@include holds
--@include uploads
--@include reap
local limit, left = tonumber(ARGV[4]), { count = tonumber(ARGV[5]) }
local reaped = 0

for _, member in ipairs(call('ZRANGEBYSCORE', P .. 'pkup', '-inf', fmt(NOW_MS))) do
  call('ZREM', P .. 'pkup', member)
  local id = string.match(member, '^%d+')
  local pack = call('HGET', P .. 'pk', id)
  if pack then
    local live, total = struct.unpack('<I8I8', pack)
    pack_live_add(tonumber(id), live, total, 0)
  end
end

for _, ino in ipairs(call('ZRANGEBYSCORE', P .. 'del', '-inf', fmt(NOW_MS), 'LIMIT', 0, limit)) do
  if left.count <= 0 then break end
  local is_upload = string.sub(ino, 1, 1) == 'u'
  local a = not is_upload and attr_get(ino)
  if is_upload then
    if parts_free(string.sub(ino, 2), left) then call('ZREM', P .. 'del', ino) end
  elseif not a or a.nlink > 0 or held(ino) then
    -- Freed before, linked again, or open: release() and the end of its sessions bring it back.
    call('ZREM', P .. 'del', ino)
  elseif inode_free(ino, a, left) then
    call('ZREM', P .. 'del', ino)
    reaped = reaped + 1
  end
end
local more = #call('ZRANGEBYSCORE', P .. 'del', '-inf', fmt(NOW_MS), 'LIMIT', 0, 1)
return finish({ 'OK', reaped, more, inline_total() })
