-- Which of these inline slices still wait for the packer. Returns {'OK', '1' and '0' in order}.
--@needs core
local scores = #ARGV >= arg.members_at and call('ZMSCORE', P .. 'inq', unpack(ARGV, arg.members_at)) or {}
local alive = {}
for i = 1, #scores do alive[i] = scores[i] and '1' or '0' end
return { 'OK', table.concat(alive) }
