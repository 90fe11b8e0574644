-- What this call makes stale in the caches of others; mutate.finish() publishes it. Layout: docs/FORMAT.md, `inv`.
--@needs mutate
local stale = {}

function stale.inode(ino, version)
  mutate.invalidations[#mutate.invalidations + 1] = struct.pack('<c1I8I8', 'I', tonumber(ino), version)
end

function stale.entry(parent, name)
  mutate.invalidations[#mutate.invalidations + 1] = struct.pack('<c1I8I2c0', 'E', tonumber(parent), #name, name)
end

function stale.unlinked(ino)
  mutate.invalidations[#mutate.invalidations + 1] = struct.pack('<c1I8', 'U', tonumber(ino))
end

function stale.users()
  mutate.invalidations[#mutate.invalidations + 1] = 'S'
end
