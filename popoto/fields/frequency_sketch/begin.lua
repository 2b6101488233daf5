-- Begins a sketch aside, which saves fill as well as the one that is asked.
-- KEYS: P:meta, P:next, P:next:cells. ARGV: its shape. Returns 1.
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], 'next_shape', ARGV[1])
redis.call('HDEL', KEYS[1], 'next_behind')
return 1
