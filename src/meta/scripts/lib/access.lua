-- Who may do what, for callers whose kernel has not decided it. may() is the rule of src/base/access.ts; both are held to
-- test/support/access-cases.ts.
-- A caller argument is '' (unchecked: nil) or struct '<I4I4I4...': uid, gid, supplementary groups.
--
-- Policy comes in here and nowhere else. POSIX ACLs (FLAG_ACL, a<ino>) have no entries yet: may() is where they will be
-- asked, before the bits of the group; until then mode bits count, as in a file system without them.
--@needs core
local access = {}

function access.caller(packed)
  if packed == '' then return nil end
  local caller = { uid = 0, groups = {} }
  caller.uid = struct.unpack('<I4', packed)
  for at = 5, #packed, 4 do
    caller.groups[struct.unpack('<I4', packed, at)] = true
  end
  return caller
end

-- want: 4 read, 2 write, 1 execute/search, or a sum. Unchecked callers and uid 0 may everything.
function access.may(caller, a, want)
  if not caller or caller.uid == 0 then return true end
  local bits = bit.band(a.mode, 7)
  if caller.uid == a.uid then
    bits = bit.band(bit.rshift(a.mode, 6), 7)
  elseif caller.groups[a.gid] then
    bits = bit.band(bit.rshift(a.mode, 3), 7)
  end
  return bit.band(bits, want) == want
end

-- The sticky bit: only the owner of the entry's inode or of the directory may remove or rename the entry.
function access.sticky_allows(caller, dir, a)
  if not caller or caller.uid == 0 or not has(dir.mode, S_ISVTX) then return true end
  return caller.uid == a.uid or caller.uid == dir.uid
end
