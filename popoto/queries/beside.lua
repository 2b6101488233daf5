-- Finds the members right before and after some members of sorted sets.
-- KEYS: of each member its sorted set. ARGV: the members.
-- Returns the neighbours, member after member, with repeats.
local found = {}
for place, key in ipairs(KEYS) do
  local rank = redis.call('ZRANK', key, ARGV[place])
  if rank then
    for _, member in ipairs(redis.call('ZRANGE', key, math.max(0, rank - 1), rank + 1)) do
      if member ~= ARGV[place] then
        found[#found + 1] = member
      end
    end
  end
end
return found
