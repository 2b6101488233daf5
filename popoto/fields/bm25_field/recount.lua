-- Counts an index's documents and words anew, some at a time; what changes the lengths meanwhile takes the token away.
-- KEYS: P:dl, P:n, P:total, P:avgdl, P:recount. ARGV: a token; the rank to begin with, 0 to begin at all; the most
--   documents to count; how many documents and words were counted so far.
-- Returns {rank to go on with, documents, words}; the rank is -1 when all are counted and written, and -2 when another
--   has changed something, so that it must begin again.
local token, at, most, documents, words = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local PAGE = 2000
if at == 0 then
  redis.call('SET', KEYS[5], token)
elseif redis.call('GET', KEYS[5]) ~= token then
  return {-2, 0, 0}
end
local last = at + most
while at < last do
  local flat = redis.call('ZRANGE', KEYS[1], at, math.min(at + PAGE, last) - 1, 'WITHSCORES')
  for place = 2, #flat, 2 do
    words = words + tonumber(flat[place])
  end
  documents, at = documents + #flat / 2, at + #flat / 2
  if #flat == 0 then
    break
  end
end
if at < redis.call('ZCARD', KEYS[1]) then
  return {at, documents, words}
end
redis.call('DEL', KEYS[5])
if documents == 0 then
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
else
  redis.call('SET', KEYS[2], string.format('%.0f', documents))
  redis.call('SET', KEYS[3], string.format('%.0f', words))
  redis.call('SET', KEYS[4], string.format('%.14g', words / documents))
end
return {-1, documents, words}
