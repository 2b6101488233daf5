-- Notes in rows how many dimensions their vectors have.
-- KEYS: the rows. ARGV: the field; its bytes.
-- Returns how many rows were changed.
local changed = 0
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 and redis.call('HGET', key, ARGV[1]) ~= ARGV[2] then
    redis.call('HSET', key, ARGV[1], ARGV[2])
    changed = changed + 1
  end
end
return changed
