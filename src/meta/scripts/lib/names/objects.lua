-- What S3 sees at a name.
--
--   o<ino>  hash, the S3 side of an inode with FLAG_S3: v content version the etag and checksums belong to, e etag,
--           h headers, t tags, c checksums, p parts (JSON, bytes as latin1)
--@needs core attrs entries links
local objects = {}

-- The tag the object has now; src/base/derived-etag.ts derives the same for content that S3 did not write.
function objects.etag(ino, a)
  if has(a.flags, FLAG_S3) then
    local kept = call('HMGET', P .. 'o' .. ino, 'v', 'e')
    if kept[1] and kept[2] and kept[2] ~= '' and tonumber(kept[1]) == a.version then return kept[2] end
  end
  return string.sub(redis.sha1hex('janusfs:' .. ino .. ':' .. fmt(a.version)), 1, 32) .. '-1'
end

-- A directory is an object (`dir/`) when PUT made it one, or when mkdir did and it is empty.
function objects.is_dir(ino, a)
  if has(a.flags, FLAG_MARKER) then return true end
  return not has(a.flags, FLAG_IMPLICIT) and call('ZCARD', P .. 'd' .. ino) == 0
end

-- What stands at a name: the entry, its attributes, and number and attributes of the object S3 sees there, if any.
function objects.at(caller, dir, name, directory)
  local entry = entries.typed(dir, name, directory)
  local a = entry and attrs.get(entry.ino)
  if not a then return nil end
  if directory then
    if objects.is_dir(entry.ino, a) then return entry, a, entry.ino, a end
  elseif attrs.is_file(a) then
    return entry, a, entry.ino, a
  elseif attrs.is_symlink(a) then
    local ino, target = links.resolve(caller, dir, entry.ino, links.budget())
    if ino and target and attrs.is_file(target) then return entry, a, ino, target end
  end
  return entry, a
end

local function etag_listed(list, etag)
  for _, wanted in ipairs(list) do
    if wanted == '*' or wanted == etag then return true end
  end
  return false
end

-- Decides a precondition ('' or JSON: m If-Match, n If-None-Match, s size, t mtime) against the present object (nil:
-- none). Answers nil, or ENOENT (it asks for an object and there is none) or ECANCELED (it does not hold).
function objects.precondition_failure(packed, ino, a)
  if packed == '' then return nil end
  local want = cjson.decode(packed)
  if not a then return (want.m or want.s or want.t) and 'ENOENT' or nil end
  local etag = objects.etag(ino, a)
  if want.m and not etag_listed(want.m, etag) then return 'ECANCELED' end
  if want.n and etag_listed(want.n, etag) then return 'ECANCELED' end
  if want.s and want.s ~= (attrs.is_dir(a) and 0 or a.size) then return 'ECANCELED' end
  if want.t and want.t ~= a.ms then return 'ECANCELED' end
  return nil
end
