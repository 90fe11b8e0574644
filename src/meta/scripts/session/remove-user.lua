-- Removes an S3 user. Returns {'OK', 1 or 0 when there was none}.
--@needs core mutate stale
local removed = call('HDEL', P .. 'users', arg.name)
if removed == 1 then stale.users() end
return mutate.finish({ 'OK', removed })
