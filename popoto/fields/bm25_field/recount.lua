-- Writes an index's statistics, unless they have changed since they were read.
-- KEYS: P:n, P:total, P:avgdl. ARGV: the number of documents and of words that were read, '' for none; the new ones.
-- Returns 1 when they were written, else 0.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] or (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then
  return 0
end
if tonumber(ARGV[3]) == 0 then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
else
  redis.call('SET', KEYS[1], ARGV[3])
  redis.call('SET', KEYS[2], ARGV[4])
  redis.call('SET', KEYS[3], string.format('%.14g', ARGV[4] / ARGV[3]))
end
return 1
