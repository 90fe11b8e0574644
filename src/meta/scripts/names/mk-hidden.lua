-- Makes a file or directory that no name reaches, kept by this session until it is linked or released.
-- KEYS[1] prefix. ARGV[4] mode with type, [5] uid, [6] gid
-- Returns {'OK', ino, attributes}.
--@include core
--@include mutate
--@include names
--@include inodes
--@include holds
local ino, a = inode_new(tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), '0')
a.nlink = 0
hold(ino)
return finish({ 'OK', ino, attr_set(ino, a) })
