-- Makes the sketch that a rebuild has filled the one that is asked.
-- KEYS: 1 P, 2 P:cells, 3 P:next, 4 P:next:cells, 5 P:meta. Returns 1.
local known = redis.call('HMGET', KEYS[5], 'next_shape', 'next_behind')
if not known[1] then
  return 1
end
redis.call('UNLINK', KEYS[1], KEYS[2])
for number = 3, 4 do
  if redis.call('EXISTS', KEYS[number]) == 1 then
    redis.call('RENAME', KEYS[number], KEYS[number - 2])
  end
end
redis.call('HSET', KEYS[5], 'shape', known[1])
redis.call('HDEL', KEYS[5], 'next_shape', 'next_behind', 'behind')
if known[2] then
  redis.call('HSET', KEYS[5], 'behind', 1)
end
return 1
