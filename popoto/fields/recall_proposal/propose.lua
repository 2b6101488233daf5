-- Notes that rows were proposed, and takes some stale proposals out, so that a pending set never grows for ever.
-- KEYS: 1 the pending set. ARGV: when, in Unix seconds; the moment up to which proposals are stale; the partition; what the
--   keys of rows' own sets begin with; how many stale ones at most; the rows' keys.
-- Returns how many of the rows are stored, and so were noted.
-- include: popoto.fields.recall_proposal pending.lua
local pending, at, cutoff, partition, base = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local count = 0
stale_members(pending, base, partition, cutoff, ARGV[5])
for place = 6, #ARGV do
  local member = ARGV[place]
  if redis.call('EXISTS', member) == 1 then
    redis.call('ZADD', pending, at, member)
    if partition ~= DEFAULT_PARTITION then
      redis.call('SADD', base .. ':' .. member, partition)
    end
    count = count + 1
  end
end
return count
