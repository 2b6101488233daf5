-- Notes what came of an action in a state, each event once, and counts the latest of them.
-- KEYS: 1 a sorted set of events. ARGV: most events to keep, milliseconds that they are kept after the last one, number
--   of events, and of each its id, its moment in Unix milliseconds, and 1 for a success or 0.
-- Returns how many events are known, and how many of them were successes.
local most, kept = tonumber(ARGV[1]), ARGV[2]
for number = 1, tonumber(ARGV[3]) do
  local at = 1 + 3 * number
  redis.call('ZADD', KEYS[1], ARGV[at + 1], ARGV[at] .. ' ' .. ARGV[at + 2])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -most - 1)
redis.call('PEXPIRE', KEYS[1], kept)
local events, successes = redis.call('ZRANGE', KEYS[1], 0, -1), 0
for _, event in ipairs(events) do
  if string.sub(event, -2) == ' 1' then
    successes = successes + 1
  end
end
return {#events, successes}
