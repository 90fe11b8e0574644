-- Keys, calls and numbers: used by everything. The four short names are the only locals that are not a library's table.
--
-- KEYS[1] is the volume's prefix `{NAME}:`; every other key is derived from it and shares its hash tag, so all are in one
-- Redis Cluster slot. Inode numbers and slice ids travel as decimal strings: Lua would print numbers above 1e14 with an
-- exponent. NAMES in capitals that no file declares are TypeScript's, with their values (schema/lua-constants.ts).
local P = KEYS[1]
local call = redis.call

local function fmt(number)
  return string.format('%.0f', number)
end

local function has(flags, flag)
  return bit.band(flags, flag) ~= 0
end
