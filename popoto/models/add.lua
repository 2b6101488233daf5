-- Adds to numbers of rows on which nothing else depends: no index, no companion, no version. Others are saved by save.lua.
-- KEYS: of each row its key. ARGV: the rows as rows.lua reads them, and of each the field, its code and what to add.
-- Returns, as rows.lua does, the bytes of the sum in a list. Errors, with nothing changed: GONE key, INEXACT field for a
--   sum beyond doubles.
-- include: popoto.fields values.lua
-- include: popoto.fields words.lua
-- include: popoto.models arithmetic.lua
-- include: popoto.models rows.lua
local function add(place)
  local key, field, code, delta = KEYS[place], take(), take(), take()
  local known = redis.call('HGET', key, field)
  if not known and redis.call('EXISTS', key) == 0 then
    return redis.error_reply('GONE ' .. key)
  end
  local sum = added(code, known, delta)
  if not sum then
    return redis.error_reply('INEXACT ' .. field)
  end
  redis.call('HSET', key, field, sum)
  return {sum}
end
return each_row(add)
