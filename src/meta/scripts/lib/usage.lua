-- Counters of the volume: `n` `bytes` (what files take) and `inline` (bytes held in b<id>).
--@needs core
local usage = {}

function usage.add(bytes)
  if bytes ~= 0 then call('HINCRBY', P .. 'n', 'bytes', fmt(bytes)) end
end

function usage.add_inline(bytes)
  if bytes ~= 0 then call('HINCRBY', P .. 'n', 'inline', fmt(bytes)) end
end

-- Bytes kept inline in the whole volume, for replies.
function usage.inline()
  return call('HGET', P .. 'n', 'inline') or '0'
end
