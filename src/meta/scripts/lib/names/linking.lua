-- Putting objects under names.
--@needs core attrs stale entries inodes
local linking = {}

-- Makes the directories a key needs below the last existing one. Answers the directory that is to hold the key's entry
-- (a step) and the flat list parent, name of the entries made. The caller has checked permission.
function linking.make_parents(dirs, components, count, mode, uid, gid)
  local made = {}
  local dir = dirs[#dirs]
  for i = #dirs, count do
    local name = components[i]
    local ino, a = inodes.new(S_IFDIR + bit.band(mode, MODE_BITS), uid, gid, dir.ino)
    inodes.inherit_group(dir.attr, a)
    a.flags = FLAG_IMPLICIT
    entries.add(dir.ino, name, true, ino, entries.typed(dir.ino, name, false) ~= nil)
    inodes.dir_changed(dir.ino, dir.attr, 1)
    stale.entry(dir.ino, name)
    attrs.set(ino, a)
    made[#made + 1] = dir.ino
    made[#made + 1] = name
    dir = { ino = ino, attr = a }
  end
  return dir, made
end

-- Stores the S3 side of an inode (ARGV[at]... etag, headers, tags, checksums, parts) for its present version.
function linking.store_s3(ino, a, at)
  call('HSET', P .. 'o' .. ino, 'v', fmt(a.version), 'e', ARGV[at], 'h', ARGV[at + 1], 't', ARGV[at + 2], 'c',
    ARGV[at + 3], 'p', ARGV[at + 4])
  if not has(a.flags, FLAG_S3) then a.flags = a.flags + FLAG_S3 end
end

-- Makes ARGV[at]... (name, value, `count` of them) the inode's user.* attributes; other namespaces stay.
function linking.store_user_xattrs(ino, a, at, count)
  local key = P .. 'x' .. ino
  if has(a.flags, FLAG_XATTR) then
    for _, name in ipairs(call('HKEYS', key)) do
      if string.sub(name, 1, 5) == 'user.' then call('HDEL', key, name) end
    end
    a.flags = a.flags - FLAG_XATTR
  end
  for i = 0, count - 1 do call('HSET', key, ARGV[at + 2 * i], ARGV[at + 2 * i + 1]) end
  if call('EXISTS', key) == 1 then a.flags = a.flags + FLAG_XATTR end
end

-- What a replaced file leaves to the file that takes its name: owner, permission bits, ACL and the attributes that are
-- not user.*. Set-id bits and capabilities do not survive new content.
function linking.take_over(ino, a, old_ino, old)
  a.uid, a.gid = old.uid, old.gid
  a.mode = S_IFREG + bit.band(old.mode, ACCESS_BITS)
  if has(old.flags, FLAG_ACL) and call('COPY', P .. 'a' .. old_ino, P .. 'a' .. ino) == 1 then
    a.flags = bit.bor(a.flags, FLAG_ACL)
  end
  if has(old.flags, FLAG_XATTR) then
    local all = call('HGETALL', P .. 'x' .. old_ino)
    for i = 1, #all, 2 do
      if string.sub(all[i], 1, 5) ~= 'user.' and all[i] ~= 'security.capability' then
        call('HSET', P .. 'x' .. ino, all[i], all[i + 1])
        a.flags = bit.bor(a.flags, FLAG_XATTR)
      end
    end
  end
end
