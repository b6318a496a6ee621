-- One commit: conditions, then mutations in their order. ARGV is how many conditions there are, whether there are
-- sums (1) or none (0), then each condition and each mutation as a letter and its operands. The answer is 0 if all was
-- applied, n if condition n was the first that did not hold, -n if the n-th increment meets no number.
local call = redis.call
local last = #ARGV
local at = 3

local function holds(kind, key)
  if kind == '=' then return call('HGET', key, ARGV[at + 2]) == ARGV[at + 3] end
  if kind == 'p' then return call('HEXISTS', key, ARGV[at + 2]) == 1 end
  if kind == 'a' then return call('HEXISTS', key, ARGV[at + 2]) == 0 end
  if kind == 'r' then return call('HLEN', key) == 0 end
  if kind == 'v' then return call('EXISTS', key) == 0 end
  if kind == 'n' then
    return call('ZLEXCOUNT', key, ARGV[at + 2], ARGV[at + 3]) == tonumber(ARGV[at + 4], 10)
  end
  return kind == 't'
end

local asked = { ['='] = 4, p = 3, a = 3, r = 2, v = 2, n = 5, t = 1, f = 1 }
for condition = 1, tonumber(ARGV[1], 10) do
  local kind = ARGV[at]
  if not holds(kind, ARGV[at + 1]) then return condition end
  at = at + asked[kind]
end

-- Numbers of Lua have 53 bits: a sum of 64 is made of what stands before its last nine digits, and those.
local function halves(text)
  local sign, digits = string.match(text, '^([+-]?)0*(%d+)$')
  if not digits or #digits > 19 then return nil end
  local high = tonumber(string.sub(digits, 1, -10), 10) or 0
  local low = tonumber(string.sub(digits, -9), 10)
  if sign == '-' then return -high, -low end
  return high, low
end

local function carried(high, low)
  local carry = math.floor(low / 1000000000)
  return high + carry, low - carry * 1000000000
end

local function fits(high, low)
  if high == 9223372036 then return low <= 854775807 end
  if high == -9223372037 then return low >= 145224192 end
  return high < 9223372036 and high > -9223372037
end

local function spelled(high, low)
  if high < 0 and low > 0 then high, low = high + 1, low - 1000000000 end
  local sign = ''
  if high < 0 or low < 0 then sign, high, low = '-', 0 - high, 0 - low end
  if high == 0 then return sign .. string.format('%d', low) end
  return sign .. string.format('%d%09d', high, low)
end

local function sum(before, by)
  local high, low = halves(before)
  if not high or not fits(carried(high, low)) then return nil end
  local more_high, more_low = halves(by)
  high, low = carried(high + more_high, low + more_low)
  if not fits(high, low) then return nil end
  return spelled(high, low)
end

-- All sums are known before the first mutation, so that none can fail half-way.
local width = { H = 4, F = 3, R = 2, I = 4, S = 3, D = 2, Z = 3, M = 3, X = 2 }
local sums, count = {}, 0
if ARGV[2] == '1' then
  local written, removed = {}, {}
  local ahead = at
  while ahead <= last do
    local kind, key, field = ARGV[ahead], ARGV[ahead + 1], ARGV[ahead + 2]
    local hash = written[key] or {}
    written[key] = hash
    if kind == 'H' then hash[field] = ARGV[ahead + 3] end
    if kind == 'F' then hash[field] = false end
    if kind == 'R' then
      written[key] = {}
      removed[key] = true
    end
    if kind == 'I' then
      local before = hash[field]
      if before == nil then before = not removed[key] and call('HGET', key, field) end
      count = count + 1
      sums[count] = sum(before or '0', ARGV[ahead + 3])
      if not sums[count] then return 0 - count end
      hash[field] = sums[count]
    end
    ahead = ahead + width[kind]
  end
end

count = 0
while at <= last do
  local kind, key = ARGV[at], ARGV[at + 1]
  if kind == 'H' then call('HSET', key, ARGV[at + 2], ARGV[at + 3])
  elseif kind == 'Z' then call('ZADD', key, '0', ARGV[at + 2])
  elseif kind == 'M' then call('ZREM', key, ARGV[at + 2])
  elseif kind == 'F' then call('HDEL', key, ARGV[at + 2])
  elseif kind == 'I' then
    count = count + 1
    call('HSET', key, ARGV[at + 2], sums[count])
  elseif kind == 'S' then call('SET', key, ARGV[at + 2])
  elseif kind == 'D' then call('DEL', key)
  elseif kind == 'R' then call('HCLEAR', key)
  else call('ZCLEAR', key) end
  at = at + width[kind]
end
return 0
