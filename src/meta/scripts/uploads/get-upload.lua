-- ARGV[1] id, [2] root, [3] key. Returns {'OK', fields of lib/uploads in order...}. Errors: ENOENT.
--@include core
--@include uploads
local fields = upload_get(ARGV[1], ARGV[2], ARGV[3])
if not fields then return { 'ENOENT' } end
return { 'OK', unpack(fields) }
