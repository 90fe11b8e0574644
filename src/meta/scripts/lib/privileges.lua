-- Set-id bits and file capabilities: they go when others change what they stand for.
--@needs core
local privileges = {}

-- Takes the set-id bits.
local function drop_set_id(a)
  if has(a.mode, S_ISUID) then a.mode = a.mode - S_ISUID end
  if has(a.mode, S_ISGID) and has(a.mode, S_IXGRP) then a.mode = a.mode - S_ISGID end
end

-- The content or the owner of a file changed: its file capabilities go, whoever did it, and with `set_id` the set-id
-- bits.
function privileges.drop(ino, a, set_id)
  if set_id then drop_set_id(a) end
  if not has(a.flags, FLAG_XATTR) then return end
  local key = P .. 'x' .. ino
  if call('HDEL', key, 'security.capability') == 1 and call('EXISTS', key) == 0 then a.flags = a.flags - FLAG_XATTR end
end
