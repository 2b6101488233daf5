-- Which of some fingerprints a Bloom filter may know: those of which any word has all its bits set.
-- KEYS: 1 the class set; 2 P, where 1.x had its bits; 3 P:meta. ARGV: the filter's shape; its number of hashes; number of
--   fingerprints, and of each its number of words and their bits.
-- Returns 1 or 0 for each. Errors: UNBUILT, BEHIND, or SHAPE and the stored one: the filter cannot tell.
local SEGMENT = 32768
local base, shape, hashes = KEYS[2], ARGV[1], tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[3], 'shape', 'current', 'behind')
local answers, at = {}, 4
if not known[2] and (redis.call('EXISTS', base) == 1 or redis.call('SCARD', KEYS[1]) > 0) then
  return redis.error_reply('UNBUILT ' .. base)
end
if known[2] and known[1] ~= shape then
  return redis.error_reply('SHAPE ' .. known[1])
end
if known[3] then
  return redis.error_reply('BEHIND ' .. base)
end

local function is_set(text)
  local place = tonumber(text)
  local segment = math.floor(place / SEGMENT)
  local key = base .. ':' .. known[2] .. ':' .. string.format('%.0f', segment)
  return redis.call('GETBIT', key, string.format('%.0f', place - segment * SEGMENT)) == 1
end

local function has_word(first)
  for place = first, first + hashes - 1 do
    if not is_set(ARGV[place]) then
      return false
    end
  end
  return true
end

for number = 1, tonumber(ARGV[3]) do
  local words = tonumber(ARGV[at])
  local found = 0
  for word = 0, words - 1 do
    if known[2] and has_word(at + 1 + word * hashes) then
      found = 1
      break
    end
  end
  answers[number] = found
  at = at + 1 + words * hashes
end
return answers
