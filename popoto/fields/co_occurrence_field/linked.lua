-- The heaviest edges of a node; equal ones by the node that they lead to.
-- KEYS: 1 its edge set, 2 the one that popoto 1.6 wrote. ARGV: 1 the smallest weight, 2 how many.
-- Returns pairs of node and weight.
local least, limit = ARGV[1], tonumber(ARGV[2])
local key = redis.call('EXISTS', KEYS[1]) == 1 and KEYS[1] or KEYS[2]
local found = redis.call('ZREVRANGEBYSCORE', key, '+inf', least, 'WITHSCORES', 'LIMIT', 0, limit)
local replies, groups = {}, {}
for place = 1, #found, 2 do
  local weight = found[place + 1]
  local group = groups[#groups]
  if not group or group.weight ~= weight then
    group = {weight = weight, count = 0}
    groups[#groups + 1] = group
  end
  group.count = group.count + 1
end
for _, group in ipairs(groups) do
  local some = redis.call('ZRANGEBYSCORE', key, group.weight, group.weight, 'LIMIT', 0, group.count)
  for _, node in ipairs(some) do
    replies[#replies + 1] = node
    replies[#replies + 1] = string.format('%.17g', tonumber(group.weight))
  end
end
return replies
