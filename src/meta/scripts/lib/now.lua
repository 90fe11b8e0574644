-- The server's time when the script began: s seconds, ns nanoseconds within them; ms and us since the epoch.
--@needs core
local now = {}

if redis.replicate_commands then redis.replicate_commands() end -- before 7.0: TIME and then writes
local time = call('TIME')
now.s, now.ns = tonumber(time[1]), tonumber(time[2]) * 1000
now.ms = now.s * 1000 + math.floor(now.ns / 1000000)
now.us = now.s * 1000000 + now.ns / 1000
