-- Included (after core, mutate, names, inodes, access and objects) by scripts that put objects under names.

-- Makes the directories a key needs below the last existing one. Answers the directory that is to hold the key's entry
-- (a step) and the flat list parent, name of the entries made. The caller has checked permission.
local function parents_make(dirs, components, count, mode, uid, gid)
  local made = {}
  local dir = dirs[#dirs]
  for i = #dirs, count do
    local name = components[i]
    local ino, a = inode_new(S_IFDIR + bit.band(mode, 4095), uid, gid, dir.ino)
    inherit_group(dir.attr, a)
    a.flags = F_IMPLICIT
    entry_add(dir.ino, name, true, ino, entry_typed(dir.ino, name, false) ~= nil)
    dir_changed(dir.ino, dir.attr, 1)
    stale_entry(dir.ino, name)
    attr_set(ino, a)
    made[#made + 1] = dir.ino
    made[#made + 1] = name
    dir = { ino = ino, attr = a }
  end
  return dir, made
end

-- Stores the S3 side of an inode (argv[at]... etag, headers, tags, checksums, parts) for its present version.
local function s3_store(ino, a, argv, at)
  call('HSET', P .. 'o' .. ino, 'v', fmt(a.version), 'e', argv[at], 'h', argv[at + 1], 't', argv[at + 2], 'c',
    argv[at + 3], 'p', argv[at + 4])
  if not has(a.flags, F_S3) then a.flags = a.flags + F_S3 end
end

-- Makes argv[at]... (name, value, `count` of them) the inode's user.* attributes; other namespaces stay.
local function user_xattrs_store(ino, a, argv, at, count)
  local key = P .. 'x' .. ino
  if has(a.flags, F_XATTR) then
    for _, name in ipairs(call('HKEYS', key)) do
      if string.sub(name, 1, 5) == 'user.' then call('HDEL', key, name) end
    end
    a.flags = a.flags - F_XATTR
  end
  for i = 0, count - 1 do call('HSET', key, argv[at + 2 * i], argv[at + 2 * i + 1]) end
  if call('EXISTS', key) == 1 then a.flags = a.flags + F_XATTR end
end

-- What a replaced file leaves to the file that takes its name: owner, permission bits, ACL and the attributes that are
-- not user.*. Set-id bits and capabilities do not survive new content.
local function take_over(ino, a, old_ino, old)
  a.uid, a.gid = old.uid, old.gid
  a.mode = S_IFREG + bit.band(old.mode, 511)
  if has(old.flags, F_ACL) and call('COPY', P .. 'a' .. old_ino, P .. 'a' .. ino) == 1 then
    a.flags = bit.bor(a.flags, F_ACL)
  end
  if has(old.flags, F_XATTR) then
    local all = call('HGETALL', P .. 'x' .. old_ino)
    for i = 1, #all, 2 do
      if string.sub(all[i], 1, 5) ~= 'user.' and all[i] ~= 'security.capability' then
        call('HSET', P .. 'x' .. ino, all[i], all[i + 1])
        a.flags = bit.bor(a.flags, F_XATTR)
      end
    end
  end
end
