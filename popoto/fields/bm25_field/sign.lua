-- Says at the end of a rebuild who made an index's words: the one that was noted at its beginning, if no other joined.
-- KEYS: P:rebuild, P:analyzer, P:n. Returns 1.
local name = redis.call('GET', KEYS[1])
if name and tonumber(redis.call('GET', KEYS[3]) or 0) > 0 then
  redis.call('SET', KEYS[2], name)
else
  redis.call('DEL', KEYS[2])
end
redis.call('DEL', KEYS[1])
return 1
