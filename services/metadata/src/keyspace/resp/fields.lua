-- Fields of hashes, of one moment. ARGV is a key and a field for each. Three texts stand before the answer, because
-- LedisDB takes a table of two for a status.
local found = { 'fields', '', '' }
local count = 3
for at = 1, #ARGV, 2 do
  count = count + 1
  found[count] = redis.call('HGET', ARGV[at], ARGV[at + 1])
end
return found
