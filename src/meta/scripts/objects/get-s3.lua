-- The S3 side of an inode. Returns {'OK', {field, value...}}. Errors: ENOENT.
--@needs core
if call('EXISTS', P .. 'i' .. arg.ino) == 0 then return { 'ENOENT' } end
return { 'OK', call('HGETALL', P .. 'o' .. arg.ino) }
