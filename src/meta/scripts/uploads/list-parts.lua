-- Parts of an upload by number. Returns {'OK', {fields of lib/uploads in order}, 1 when there are more, number, part...}. Errors: ENOENT.
--@needs core uploads
local id, after, limit = arg.upload_id, arg.after_number, arg.limit
local fields = uploads.get(id, arg.root, arg.key)
if not fields then return { 'ENOENT' } end
local reply = { 'OK', fields, 0 }
local left = call('HLEN', P .. 'upp:' .. id) > 0
local count = 0
for from = after + 1, left and 10000 or 0, 500 do
  local numbers = {}
  for number = from, math.min(from + 499, 10000) do numbers[#numbers + 1] = number end
  local parts = call('HMGET', P .. 'upp:' .. id, unpack(numbers))
  for i, number in ipairs(numbers) do
    if parts[i] then
      if count == limit then
        reply[3] = 1
        return reply
      end
      count = count + 1
      reply[#reply + 1] = number
      reply[#reply + 1] = parts[i]
    end
  end
end
return reply
