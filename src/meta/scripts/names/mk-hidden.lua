-- Makes a file or directory that no name reaches, kept by this session until it is linked or released.
-- Returns {'OK', ino, attributes}.
--@needs attrs mutate holds inodes
local ino, a = inodes.new(arg.mode, arg.uid, arg.gid, '0')
a.nlink = 0
holds.keep(ino)
return mutate.finish({ 'OK', ino, attrs.set(ino, a) })
