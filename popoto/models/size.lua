-- Counts a model's rows: the members of its class set, less those that have expired and were not taken out yet.
-- KEYS: 1 the class set; 2 the expiry ledger. ARGV: the present in Unix milliseconds; how many expired to look at.
local size = redis.call('SCARD', KEYS[1])
for _, key in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  if redis.call('EXISTS', key) == 0 then
    size = size - redis.call('SISMEMBER', KEYS[1], key)
  end
end
return size
