-- Returns {'OK'}. Errors: ENOENT.
--@shrinks
--@needs mutate uploads
if not uploads.get(arg.upload_id, arg.root, arg.key) then return { 'ENOENT' } end
uploads.remove(arg.upload_id)
return mutate.finish({ 'OK' })
