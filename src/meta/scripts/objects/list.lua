-- One page of keys and common prefixes below a directory, in byte order of whole keys.
--
-- Members of a directory sort as S3 keys do (`name NUL` and `name /`), so a page is a walk with a stack of frames:
-- frame {ino, path, low}: a directory, the key bytes in front of its entries, where its unread members begin
-- Keys before the bound are never visited: low_of() finds each level's first member, jump() leaves a common prefix.
-- Lua's own string comparison follows the server's locale, so nothing here compares strings but for equality.
--
-- Returns {'OK', 'end' | 'more' (limit reached, there is more) | 'go' (visited enough), bound to go on from (inclusive),
-- items: {prefix} or {key, ino, attributes, version, etag, headers, checksums}...}. Errors: ENOENT, EACCES.
--@needs core attrs access links objects
local root, prefix, after, delimiter, limit = arg.root, arg.prefix, arg.after, arg.delimiter, arg.limit
local caller, bound, inclusive, steps = arg.caller, arg.bound, arg.inclusive, arg.steps
local PAGE = 128
local PROBE = 64

local function starts(text, with)
  return string.sub(text, 1, #with) == with
end

-- What a listing looks at in attributes, with their packed form: cheaper than unpacking all of a thousand inodes.
local function attr_glance(packed)
  local mode, uid, gid = struct.unpack('<I4I4I4', packed)
  return { mode = mode, uid = uid, gid = gid, flags = struct.unpack('<I4', packed, 29), packed = packed }
end

-- Members of d<ino> from `low`: {name, dir, ino, attributes}..., and where the next page begins (nil: at the end).
local function members_read(ino, low, most)
  local members = call('ZRANGEBYLEX', P .. 'd' .. ino, low, '+', 'LIMIT', 0, most)
  if #members == 0 then return {}, nil end
  local page, keys = {}, {}
  for i, member in ipairs(members) do
    local at = string.find(member, '[%z/]')
    local number = string.match(member, '^%d+', at + 1)
    page[i] = { string.sub(member, 1, at - 1), string.sub(member, at, at) == '/', number, member = member }
    keys[i] = P .. 'i' .. number
  end
  local packed = call('MGET', unpack(keys))
  for i, entry in ipairs(page) do entry[4] = packed[i] and attr_glance(packed[i]) end
  return page, #members == most and '(' .. members[#members] or nil
end

-- Number and attributes of the object a non-directory entry is, or nil: a link's target inside the volume counts.
local function object_of(dir, entry)
  local a = entry[4]
  if not a or entry[1] == '' then return nil end
  if attrs.is_file(a) then return entry[3], a end
  if not attrs.is_symlink(a) then return nil end
  local ino, target = links.resolve(caller, dir, entry[3], links.budget())
  if ino and target and attrs.is_file(target) then return ino, target end
  return nil
end

-- Whether anything in or below a directory is listed. Gives up with yes after PROBE entries, and where the caller may
-- not look: a common prefix too many is better than a hidden key.
local function anything_listed(ino, a, left)
  if objects.is_dir(ino, a) or not access.may(caller, a, MAY_READ + MAY_SEARCH) then return true end
  local low = '-'
  while low do
    local page
    page, low = members_read(ino, low, 8)
    for _, entry in ipairs(page) do
      left.count = left.count - 1
      if left.count < 0 then return true end
      if not entry[2] then
        if object_of(ino, entry) then return true end
      elseif entry[4] and anything_listed(entry[3], entry[4], left) then
        return true
      end
    end
  end
  return false
end

local frames = {}

-- Where the members of the directory at `path` begin that the bound does not rule out.
local function low_of(path)
  if not starts(bound, path) or bound == path then return '-' end
  local rest = string.sub(bound, #path + 1)
  local slash = string.find(rest, '/', 1, true)
  if slash then return '[' .. string.sub(rest, 1, slash) end
  return '[' .. rest .. (inclusive and '' or '\1')
end

-- Reading names takes read permission; passing through to a directory that the prefix names takes search only.
local function enter(ino, a, path)
  local passing = #path < #prefix and string.find(prefix, '/', #path + 1, true)
  if not access.may(caller, a, passing and 1 or 5) then return false end
  frames[#frames + 1] = { ino = ino, path = path, low = low_of(path), page = {}, at = 1 }
  return true
end

-- The smallest string behind everything that begins with `text`, or nil.
local function successor(text)
  for at = #text, 1, -1 do
    local byte = string.byte(text, at)
    if byte < 255 then return string.sub(text, 1, at - 1) .. string.char(byte + 1) end
  end
  return nil
end

-- Leaves everything that begins with the common prefix.
local function jump(common)
  while #frames > 0 and #frames[#frames].path >= #common do frames[#frames] = nil end
  local frame = frames[#frames]
  if not frame then return end
  local rest = string.sub(common, #frame.path + 1)
  local slash = string.find(rest, '/', 1, true)
  if slash then rest = string.sub(rest, 1, slash) end
  while frame.page[frame.at] and starts(frame.page[frame.at].member, rest) do frame.at = frame.at + 1 end
  if frame.page[frame.at] or not frame.low then return end
  local low = successor(rest)
  frame.low = low and '[' .. low or nil
end

local function common_of(key)
  if delimiter == '' then return nil end
  local _, last = string.find(key, delimiter, #prefix + 1, true)
  return last and string.sub(key, 1, last)
end

local reply = { 'OK', 'end', '' }
local count = 0

local function emit_key(key, ino, a)
  local s3 = has(a.flags, FLAG_S3) and call('HMGET', P .. 'o' .. ino, 'v', 'e', 'h', 'c') or {}
  count = count + 1
  reply[count + 3] = { key, ino, a.packed or attrs.pack(a), s3[1] or '', s3[2] or '', s3[3] or '', s3[4] or '' }
end

local function emit_prefix(common)
  count = count + 1
  reply[count + 3] = { common }
end

-- One entry. Answers 'full' when it is an item that has no place any more, 'past' behind the prefix, or an errno.
local function visit(frame, entry, key)
  local inside = starts(key, prefix)
  if not inside and not (entry[2] and starts(prefix, key)) then return 'past' end
  local ino, a = entry[3], entry[4]
  if not entry[2] then ino, a = object_of(frame.ino, entry) end
  if not a then return nil end
  if not inside then return not enter(ino, a, key) and 'EACCES' or nil end
  local common = common_of(key)
  if common then
    if not starts(after, common) then
      if entry[2] then
        local left = { count = PROBE }
        local listed = anything_listed(ino, a, left)
        steps = steps - (PROBE - left.count)
        if not listed then return nil end
      end
      if count == limit then return 'full' end
      emit_prefix(common)
    end
    jump(common)
    return nil
  end
  if not entry[2] then
    if count == limit then return 'full' end
    emit_key(key, ino, a)
    return nil
  end
  if objects.is_dir(ino, a) and (not starts(bound, key) or (inclusive and bound == key)) then
    if count == limit then return 'full' end
    emit_key(key, ino, a)
  end
  return not enter(ino, a, key) and 'EACCES' or nil
end

local top = attrs.get(root)
if not top or not attrs.is_dir(top) or top.nlink == 0 then return { 'ENOENT' } end
if not enter(root, top, '') then return { 'EACCES' } end
while #frames > 0 do
  local frame = frames[#frames]
  local entry = frame.page[frame.at]
  if not entry and frame.low then
    frame.page, frame.low = members_read(frame.ino, frame.low, PAGE)
    frame.at = 1
    entry = frame.page[1]
  end
  if not entry then
    frames[#frames] = nil
  else
    local key = frame.path .. entry[1] .. (entry[2] and '/' or '')
    -- Directories on the way to the bound are free, so that every script gets beyond it.
    if key == bound or not starts(bound, key) then
      if steps <= 0 then
        reply[2], reply[3] = 'go', key
        return reply
      end
      steps = steps - 1
    end
    frame.at = frame.at + 1
    local stop = visit(frame, entry, key)
    if stop == 'past' then return reply end
    if stop == 'full' then
      reply[2] = 'more'
      return reply
    end
    if stop then return { stop } end
  end
end
return reply
