-- Makes or changes an S3 user.
-- Returns {'OK'}. Errors: EEXIST (the access key is another user's).
--@needs core mutate stale
local users = call('HGETALL', P .. 'users')
for i = 1, #users, 2 do
  if users[i] ~= arg.name and cjson.decode(users[i + 1]).accessKey == arg.access_key then
    return { 'EEXIST', 'this access key is already that of user ' .. users[i] }
  end
end
call('HSET', P .. 'users', arg.name, arg.user)
stale.users()
return mutate.finish({ 'OK' })
