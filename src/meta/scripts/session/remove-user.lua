-- Removes an S3 user. KEYS[1] prefix. ARGV[4] name. Returns {'OK', 1 or 0 when there was none}.
--@include core
--@include mutate
local removed = call('HDEL', P .. 'users', ARGV[4])
if removed == 1 then stale_users() end
return finish({ 'OK', removed })
