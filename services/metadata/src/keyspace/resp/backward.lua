-- The last members of an ordered set within bounds, least first, where there is no ZREVRANGEBYLEX. ARGV is the key,
-- the bounds, and how many at most. All scores are 0, so that ranks go by member. Three texts stand before the answer,
-- because LedisDB takes a table of two for a status.
local found = { 'members', '', '' }
local within = redis.call('ZLEXCOUNT', ARGV[1], ARGV[2], ARGV[3])
if within > 0 then
  local upper = redis.call('ZLEXCOUNT', ARGV[1], '-', ARGV[3])
  local taken = math.min(within, tonumber(ARGV[4], 10))
  local page = redis.call('ZRANGE', ARGV[1], upper - taken, upper - 1)
  for member = 1, #page do found[3 + member] = page[member] end
end
return found
