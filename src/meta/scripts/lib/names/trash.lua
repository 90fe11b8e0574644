-- Files that lost their last name are kept for a while: in the directory `n` trashDir, one directory for each hour.
--
--   trash    zset: inode number, or `d<ino>` of a removed directory -> when it was removed, ms
--   trashed  hash: the same members -> <I8I8 directory it was in, inode whose earlier content it is (or 0)> and its name
--@needs core now attrs stale times fresh entries
local trash = {}

-- A name of the trash is the number, a dash, and as much of the file's own name as is sure to fit.
local NAME_BYTES = 235

-- The directory; nil when nothing is kept.
function trash.place()
  local set = call('HMGET', P .. 'n', 'trashOn', 'trashDir')
  return set[1] == '1' and set[2] or nil
end

-- Is this directory of the root the trash, in use? It is not removed and not moved then: what is deleted would be lost unseen.
function trash.is_place(parent, ino)
  return parent == '1' and trash.place() == ino
end

function trash.entry_name(ino, name)
  return ino .. '-' .. string.sub(name, 1, NAME_BYTES)
end

-- `2026-11-27T07`, UTC, of milliseconds. Days to a date: H. Hinnant, "chrono-compatible low-level date algorithms".
function trash.hour_name(ms)
  local hours = math.floor(ms / 3600000)
  local days = math.floor(hours / 24) + 719468
  local era = math.floor(days / 146097)
  local doe = days - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  return string.format('%04d-%02d-%02dT%02d', yoe + era * 400 + (month <= 2 and 1 or 0), month,
    doy - math.floor((153 * mp + 2) / 5) + 1, hours % 24)
end

-- Is the directory the trash, or one of its hours?
local function is_within(place, parent)
  if parent == place then return true end
  local a = attrs.get(parent)
  return not a or fmt(a.parent) == place
end

local function dir_changed(ino, a, subdirs)
  a.nlink = a.nlink + subdirs
  times.content(a)
  stale.inode(ino, a.version)
  attrs.set(ino, a)
end

-- The directory of this hour with its attributes, made when it is not there; nil when the trash is gone.
local function this_hour(place)
  local a = attrs.get(place)
  if not a or not attrs.is_dir(a) or a.nlink == 0 then return nil end
  local name = trash.hour_name(now.ms)
  local entry = entries.typed(place, name, true)
  if entry then return entry.ino, attrs.get(entry.ino) end
  call('HINCRBY', P .. 'n', 'inodes', 1)
  local ino = fresh.inode()
  local dir = { mode = S_IFDIR + 448, uid = a.uid, gid = a.gid, nlink = 2, size = 4096, rdev = 0, flags = 0, as = now.s,
    an = now.ns, ms = now.s, mn = now.ns, cs = now.s, cn = now.ns, bs = now.s, bn = now.ns, parent = tonumber(place),
    version = 1, set_us = 0, alloc = 0 }
  entries.add(place, name, true, ino, false)
  stale.entry(place, name)
  dir_changed(place, a, 1)
  return ino, dir
end

-- Puts an inode without a name into the trash as its only one. Changes nlink, parent and flags of `a`, which the caller stores.
-- `of`: the inode whose earlier content it is, or '0'. Answers whether it is kept.
function trash.put(place, ino, a, parent, name, of)
  if is_within(place, parent) then return false end
  local hour, dir = this_hour(place)
  if not hour then return false end
  local entry = trash.entry_name(ino, name)
  entries.add(hour, entry, false, ino, false)
  stale.entry(hour, entry)
  dir_changed(hour, dir, 0)
  a.nlink, a.parent = 1, tonumber(hour)
  if has(a.flags, FLAG_LINKS) then
    call('DEL', P .. 'p' .. ino)
    call('HSET', P .. 'p' .. ino, hour, 1)
  end
  call('ZADD', P .. 'trash', fmt(now.ms), ino)
  call('HSET', P .. 'trashed', ino, struct.pack('<I8I8', tonumber(parent), tonumber(of)) .. name)
  return true
end

-- A directory was removed: what was in it can still be told where it was.
function trash.note_dir(ino, parent, name)
  local place = trash.place()
  if not place or is_within(place, parent) then return end
  call('ZADD', P .. 'trash', fmt(now.ms), 'd' .. ino)
  call('HSET', P .. 'trashed', 'd' .. ino, struct.pack('<I8I8', tonumber(parent), 0) .. name)
end
