-- Included by every script: keys, packed attributes, replies. KEYS[1] is the volume's prefix `{NAME}:`; every other key
-- is derived from it and shares its hash tag, so all are in one Redis Cluster slot.
-- Inode numbers and slice ids travel as decimal strings: Lua would print numbers above 1e14 with an exponent.
local P = KEYS[1]
local call = redis.call

local S_IFMT, S_IFDIR, S_IFREG, S_IFLNK = 0xF000, 0x4000, 0x8000, 0xA000
local F_XATTR, F_ACL, F_S3, F_IMPLICIT, F_MARKER, F_LINKS = 1, 2, 4, 8, 16, 32
local CHUNK = 67108864

-- 112 bytes, see docs/FORMAT.md.
local ATTR = '<I4I4I4I4I8I4I4i8I4i8I4i8I4i8I4I8I8I8I8'

local function fmt(number)
  return string.format('%.0f', number)
end

local function attr_unpack(packed)
  local a = {}
  a.mode, a.uid, a.gid, a.nlink, a.size, a.rdev, a.flags, a.as, a.an, a.ms, a.mn, a.cs, a.cn, a.bs, a.bn, a.parent, a.version,
    a.set_us, a.alloc = struct.unpack(ATTR, packed)
  return a
end

local function attr_pack(a)
  return struct.pack(ATTR, a.mode, a.uid, a.gid, a.nlink, a.size, a.rdev, a.flags, a.as, a.an, a.ms, a.mn, a.cs, a.cn,
    a.bs, a.bn, a.parent, a.version, a.set_us, a.alloc)
end

-- Attributes of an inode (string ino), or nil.
local function attr_get(ino)
  local packed = call('GET', P .. 'i' .. ino)
  if not packed then return nil end
  return attr_unpack(packed), packed
end

-- Stores attributes and answers the packed form (which replies carry).
local function attr_set(ino, a)
  local packed = attr_pack(a)
  call('SET', P .. 'i' .. ino, packed)
  return packed
end

local function is_dir(a)
  return bit.band(a.mode, S_IFMT) == S_IFDIR
end

local function has(flags, flag)
  return bit.band(flags, flag) ~= 0
end
