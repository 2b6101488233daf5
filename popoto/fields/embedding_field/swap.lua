-- Puts vectors that were made anew in the place of the old, if nothing has changed meanwhile.
-- KEYS: 1 the hash of vectors; 2 their versions; 3 their meta; 4 the rows that have a vector no more; 5 and 6 the new
--   vectors and their versions. ARGV: the epoch and version that were seen; provider, model, dim and a new epoch; how
--   many versions were counted.
-- Returns 1, or 0 when something has changed.
local seen = redis.call('HMGET', KEYS[3], 'epoch', 'version')
if (seen[1] or '') ~= ARGV[1] or (seen[2] or '0') ~= ARGV[2] then
  return 0
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if redis.call('EXISTS', KEYS[5]) == 1 then
  redis.call('RENAME', KEYS[5], KEYS[1])
  redis.call('RENAME', KEYS[6], KEYS[2])
  redis.call('HSET', KEYS[3], 'provider', ARGV[3], 'model', ARGV[4], 'dim', ARGV[5], 'epoch', ARGV[6],
    'version', ARGV[7], 'floor', '0', 'normalised', '1')
end
return 1
