-- Staging: a read is a moment at the end of a bounded list; those that the list had no room for are counted.
-- A prelude: it reads no KEYS and no ARGV.
--
-- stage_read(staged, meta, moment, most)   staged is the list's key, meta that of the hash with the count
local function stage_read(staged, meta, moment, most)
  local more = redis.call('RPUSH', staged, moment) - most
  if more > 0 then
    redis.call('LTRIM', staged, -most, -1)
    redis.call('HINCRBY', meta, 'staged_more', more)
  end
end
