-- Which of these inline slices still wait for the packer. ARGV: members of inq.
-- Returns {'OK', '1' and '0' in order}.
--@include core
local scores = #ARGV > 0 and call('ZMSCORE', P .. 'inq', unpack(ARGV)) or {}
local alive = {}
for i = 1, #ARGV do alive[i] = scores[i] and '1' or '0' end
return { 'OK', table.concat(alive) }
