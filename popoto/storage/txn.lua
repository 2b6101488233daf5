-- Applies commands under guards, all seen at one moment.
-- KEYS: every key that is touched. ARGV: number of guards, then kind, key, field, value of each;
-- number of commands, then for each its number of words and the words.
-- Returns {1, replies} when applied, {0, index} for the first guard that does not hold, counted from 0.
local at = 1
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local holds = {
  absent = function(key) return redis.call('EXISTS', key) == 0 end,
  present = function(key) return redis.call('EXISTS', key) == 1 end,
  field = function(key, field, value) return redis.call('HGET', key, field) == value end,
  nofield = function(key, field) return redis.call('HEXISTS', key, field) == 0 end,
}
for index = 1, tonumber(take()) do
  local kind, key, field, value = take(), take(), take(), take()
  if not holds[kind](key, field, value) then
    return {0, index - 1}
  end
end
local replies = {}
for index = 1, tonumber(take()) do
  local words = {}
  for word = 1, tonumber(take()) do
    words[word] = take()
  end
  replies[index] = redis.pcall(unpack(words))
end
return {1, replies}
