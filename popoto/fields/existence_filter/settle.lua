-- Makes the filter that a rebuild has filled the one that is asked.
-- KEYS: 1 P, where 1.x had its bits; 2 P:meta. Returns the number of the former filter, '' for none.
local known = redis.call('HMGET', KEYS[2], 'current', 'next', 'next_shape', 'next_behind')
if not known[2] then
  return ''
end
redis.call('HSET', KEYS[2], 'current', known[2], 'shape', known[3])
redis.call('HDEL', KEYS[2], 'next', 'next_shape', 'next_behind', 'behind')
if known[4] then
  redis.call('HSET', KEYS[2], 'behind', 1)
end
redis.call('DEL', KEYS[1])
return known[1] or ''
