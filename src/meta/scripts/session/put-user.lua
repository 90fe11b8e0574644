-- Makes or changes an S3 user.
-- KEYS[1] prefix. ARGV[4] name, [5] access key, [6] the user as JSON
-- Returns {'OK'}. Errors: EEXIST (the access key is another user's).
--@include core
--@include mutate
local users = call('HGETALL', P .. 'users')
for i = 1, #users, 2 do
  if users[i] ~= ARGV[4] and cjson.decode(users[i + 1]).accessKey == ARGV[5] then
    return { 'EEXIST', 'this access key is already that of user ' .. users[i] }
  end
end
call('HSET', P .. 'users', ARGV[4], ARGV[6])
stale_users()
return finish({ 'OK' })
