-- The S3 side of an inode. ARGV[1] ino. Returns {'OK', {field, value...}}. Errors: ENOENT.
--@include core
if call('EXISTS', P .. 'i' .. ARGV[1]) == 0 then return { 'ENOENT' } end
return { 'OK', call('HGETALL', P .. 'o' .. ARGV[1]) }
