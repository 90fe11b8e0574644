-- ARGV[4] id, [5] root, [6] key. The parts are freed by `reap`. Returns {'OK'}. Errors: ENOENT.
--@include core
--@include mutate
--@include uploads
if not upload_get(ARGV[4], ARGV[5], ARGV[6]) then return { 'ENOENT' } end
upload_remove(ARGV[4])
return finish({ 'OK' })
