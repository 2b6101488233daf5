-- Pending sets: which rows were proposed and not yet answered, in a sorted set for each partition, by when.
-- A prelude: it reads no KEYS and no ARGV. A row's own set names the partitions in which it is pending, but for the
-- default one, where 1.x put proposals without saying so anywhere else.
--
-- pending_places(own)                          the partitions where a row may be pending
-- unproposed(base, own, member, partition)     takes a row out of one pending set, or out of all when nil; how many
-- stale_members(pending, base, partition, cutoff, most)   takes out the oldest up to a moment, base being that of rows'
--   own sets; the members
local DEFAULT_PARTITION = 'default'

local function pending_places(own)
  local places = redis.call('SMEMBERS', own)
  places[#places + 1] = DEFAULT_PARTITION
  return places
end

local function unproposed(base, own, member, partition)
  local count = 0
  for _, place in ipairs(partition and {partition} or pending_places(own)) do
    count = count + redis.call('ZREM', base .. ':' .. place, member)
    redis.call('SREM', own, place)
  end
  return count
end

local function stale_members(pending, base, partition, cutoff, most)
  local members = redis.call('ZRANGEBYSCORE', pending, '-inf', cutoff, 'LIMIT', 0, most)
  for _, member in ipairs(members) do
    redis.call('ZREM', pending, member)
    redis.call('SREM', base .. ':' .. member, partition)
  end
  return members
end
