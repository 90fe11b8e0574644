-- Takes what was removed before a time (ms; -1: as long ago as `n` trashMs says) out of the trash for good. Bounded.
-- Returns {'OK', files that went, 1 when there is more}.
--@shrinks
--@needs core now attrs mutate stale entries inodes trash
local place = call('HGET', P .. 'n', 'trashDir')
local before = arg.before
if before < 0 then before = now.ms - tonumber(call('HGET', P .. 'n', 'trashMs') or '0') end

-- Without its last file an hour goes, too, whoever took that away.
local function hour_emptied(removed_ms)
  local entry = entries.typed(place, trash.hour_name(removed_ms), true)
  local root = attrs.get(place)
  if not entry or not root or call('ZCARD', P .. 'd' .. entry.ino) > 0 then return end
  entries.remove(place, entry)
  stale.entry(place, entry.name)
  inodes.dir_taken(entry.ino, attrs.get(entry.ino), entry.name)
  inodes.dir_changed(place, root, -1)
end

local function expire(ino, info)
  local a = attrs.get(ino)
  if not a or a.nlink ~= 1 then return 0 end
  local hour = fmt(a.parent)
  local dir = attrs.get(hour)
  -- Restored, or moved away by hand: it is nobody's trash any more.
  if not dir or fmt(dir.parent) ~= place then return 0 end
  local entry = entries.typed(hour, trash.entry_name(ino, string.sub(info, 17)), false)
  if not entry or entry.ino ~= ino then return 0 end
  entries.remove(hour, entry)
  stale.entry(hour, entry.name)
  inodes.name_taken(ino, a, hour, entry.name)
  inodes.dir_changed(hour, dir, 0)
  return 1
end

local found = call('ZRANGEBYSCORE', P .. 'trash', '-inf', fmt(before), 'WITHSCORES', 'LIMIT', 0, arg.limit)
local gone = 0
for i = 1, #found, 2 do
  local member = found[i]
  local info = call('HGET', P .. 'trashed', member)
  call('ZREM', P .. 'trash', member)
  call('HDEL', P .. 'trashed', member)
  if info and place and string.sub(member, 1, 1) ~= 'd' then
    gone = gone + expire(member, info)
    hour_emptied(tonumber(found[i + 1]))
  end
end
return mutate.finish({ 'OK', gone, #found == 2 * arg.limit and 1 or 0 })
