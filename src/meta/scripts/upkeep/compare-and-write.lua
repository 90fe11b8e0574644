-- Mends one thing of a damaged volume: does all writes if all conditions hold, and nothing otherwise. What is wrong and what
-- mends it is decided in src/check, which reads key by key; here it is made sure that nothing has changed since.
-- Each step is four arguments: verb, key, and two more. A value of '' is none.
-- Returns {'OK', 1 or 0}. Errors: EINVAL (a verb that is none).
--@shrinks
--@needs core mutate stale
local conditions = {
  ['is'] = function(key, value) return (call('GET', key) or '') == value end,
  ['field-is'] = function(key, field, value) return (call('HGET', key, field) or '') == value end,
  ['has-member'] = function(key, member) return call('ZSCORE', key, member) ~= false end,
  ['lacks-member'] = function(key, member) return call('ZSCORE', key, member) == false end,
  ['lacks-key'] = function(key) return call('EXISTS', key) == 0 end,
  ['has-key'] = function(key) return call('EXISTS', key) == 1 end,
}
local writes = {
  ['set'] = function(key, value) call('SET', key, value) end,
  ['delete'] = function(key) call('DEL', key) end,
  ['set-field'] = function(key, field, value) call('HSET', key, field, value) end,
  ['delete-field'] = function(key, field) call('HDEL', key, field) end,
  ['add-to-field'] = function(key, field, amount) call('HINCRBY', key, field, amount) end,
  ['add-member'] = function(key, member, score) call('ZADD', key, score, member) end,
  ['remove-member'] = function(key, member) call('ZREM', key, member) end,
  ['leave-set'] = function(key, member) call('SREM', key, member) end,
}
local tells = {
  ['tell-inode'] = function(ino, version) stale.inode(ino, tonumber(version)) end,
  ['tell-entry'] = function(parent, name) stale.entry(parent, name) end,
}

for at = arg.steps_at, #ARGV, 4 do
  local verb = ARGV[at]
  if not (conditions[verb] or writes[verb] or tells[verb]) then return { 'EINVAL', verb } end
  if conditions[verb] and not conditions[verb](P .. ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]) then
    return mutate.finish({ 'OK', 0 })
  end
end
for at = arg.steps_at, #ARGV, 4 do
  local verb = ARGV[at]
  if writes[verb] then writes[verb](P .. ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]) end
  if tells[verb] then tells[verb](ARGV[at + 1], ARGV[at + 2]) end
end
return mutate.finish({ 'OK', 1 })
