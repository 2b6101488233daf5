-- Begins a filter aside, which saves fill as well as the one that is asked.
-- KEYS: 1 P:meta. ARGV: its shape. Returns its number, and that of one whose rebuild did not end, '' for none.
local known = redis.call('HMGET', KEYS[1], 'current', 'next')
local number = math.max(tonumber(known[1] or 0), tonumber(known[2] or 0)) + 1
redis.call('HSET', KEYS[1], 'next', number, 'next_shape', ARGV[1])
redis.call('HDEL', KEYS[1], 'next_behind')
return {number, known[2] or ''}
