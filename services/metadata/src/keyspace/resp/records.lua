-- Whole hashes, of one moment. ARGV is how many fields one may have, then their keys. For each: how many texts follow,
-- then fields and values in turn; of one that has more fields, their number below zero, and nothing else is read. Three
-- texts stand before the answer, because LedisDB takes a table of two for a status.
local found = { 'records', '', '' }
local count = 3
local most = tonumber(ARGV[1], 10)
for at = 2, #ARGV do
  local length = redis.call('HLEN', ARGV[at])
  if length > most then
    found[count + 1] = 0 - length
    return found
  end
  local record = redis.call('HGETALL', ARGV[at]) or {}
  count = count + 1
  found[count] = #record
  for entry = 1, #record do found[count + entry] = record[entry] end
  count = count + #record
end
return found
