-- A guard, a pointer, and the hash that it leads to, of one moment. ARGV is key and field of the guard, key and field
-- of the pointer, and what stands before the pointer's value in the key of the hash. Engines refuse longer keys.
local guard = redis.call('HGET', ARGV[1], ARGV[2])
local pointer = redis.call('HGET', ARGV[3], ARGV[4])
local found = { 'followed', guard, pointer }
if pointer and #ARGV[5] + #pointer <= 1024 then
  local record = redis.call('HGETALL', ARGV[5] .. pointer) or {}
  for entry = 1, #record do found[3 + entry] = record[entry] end
end
return found
