-- Puts the postings of some words in order: documents without a length go, and words in many documents get their P:imp.
-- KEYS: 1 P:df. ARGV: the base key P; the number of the document to begin with in the first word; documents to look at;
--   the words.
-- Returns how many words are done, and the number of the document to go on with in the next.
-- include: popoto.fields.bm25_field postings.lua
local PAGE = 1000
local base, start, budget = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function settle(word)
  local many = redis.call('ZCARD', base .. ':inv:' .. word)
  if many == 0 then
    redis.call('ZREM', KEYS[1], word)
  else
    redis.call('ZADD', KEYS[1], many, word)
  end
  if many <= MANY then
    redis.call('DEL', base .. ':imp:' .. word)
  end
end

for number = 4, #ARGV do
  local word = ARGV[number]
  local many = redis.call('ZCARD', base .. ':inv:' .. word)
  if start == 0 and redis.call('ZCARD', base .. ':imp:' .. word) > many then
    redis.call('DEL', base .. ':imp:' .. word)
  end
  while start < many do
    if budget <= 0 then
      return {number - 4, start}
    end
    local members, lengths = impose(base, word, start, start + PAGE - 1, many <= MANY)
    for place, member in ipairs(members) do
      if not lengths[place] then
        redis.call('ZREM', base .. ':inv:' .. word, member)
        redis.call('ZREM', base .. ':imp:' .. word, member)
        many, start = many - 1, start - 1
      end
    end
    start, budget = start + #members, budget - #members
    if #members == 0 then
      break
    end
  end
  settle(word)
  start, budget = 0, budget - 20
end
return {#ARGV - 3, 0}
