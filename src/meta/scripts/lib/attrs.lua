-- Attributes of inodes, 112 bytes packed: docs/FORMAT.md, and codec/codec.ts for the other side.
--@needs core
local attrs = {}

function attrs.unpack(packed)
  local a = {}
  a.mode, a.uid, a.gid, a.nlink, a.size, a.rdev, a.flags, a.as, a.an, a.ms, a.mn, a.cs, a.cn, a.bs, a.bn, a.parent, a.version,
    a.set_us, a.alloc = struct.unpack(ATTR_FORMAT, packed)
  return a
end

function attrs.pack(a)
  return struct.pack(ATTR_FORMAT, a.mode, a.uid, a.gid, a.nlink, a.size, a.rdev, a.flags, a.as, a.an, a.ms, a.mn, a.cs, a.cn,
    a.bs, a.bn, a.parent, a.version, a.set_us, a.alloc)
end

-- Attributes of an inode (string ino), or nil.
function attrs.get(ino)
  local packed = call('GET', P .. 'i' .. ino)
  if not packed then return nil end
  return attrs.unpack(packed), packed
end

-- Stores attributes and answers the packed form (which replies carry).
function attrs.set(ino, a)
  local packed = attrs.pack(a)
  call('SET', P .. 'i' .. ino, packed)
  return packed
end

function attrs.is_dir(a)
  return bit.band(a.mode, S_IFMT) == S_IFDIR
end

function attrs.is_file(a)
  return bit.band(a.mode, S_IFMT) == S_IFREG
end

function attrs.is_symlink(a)
  return bit.band(a.mode, S_IFMT) == S_IFLNK
end
