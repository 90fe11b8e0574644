-- Returns {'OK', fields of lib/uploads in order...}. Errors: ENOENT.
--@needs uploads
local fields = uploads.get(arg.upload_id, arg.root, arg.key)
if not fields then return { 'ENOENT' } end
return { 'OK', unpack(fields) }
