-- Writes of which all are made or none: a key of another type may be met at any of them, and a script is not rolled back.
-- A prelude. A write is a command's words, of SADD, SREM, ZADD, ZREM or GEOADD, the member last; with `last` the score that
-- the member has before it, or its longitude and latitude.
--
-- leave(writes, index, key, kept, member)   adds what takes a member out of an entry, unless that is kept; its score or
--                                           place there
-- make(writes)                              nil; or the error of one, and none is made
-- take_back(writes, count)                  undoes the first of them
-- write_row(key, first, last, sums)         the words of ARGV, and others, as a hash's fields; the number of new ones, or
--                                           the error
local replies = {}

local function leave(writes, index, key, kept, member)
  local sorted = is_sorted(index)
  local score
  if index.kind == 'Z' then
    score = redis.call('ZSCORE', key, member) or nil
  elseif sorted then
    score = redis.call('GEOPOS', key, member)[1] or nil
  end
  if key ~= kept and (score or not sorted) then
    writes[#writes + 1] = sorted and {'ZREM', key, member, last = score} or {'SREM', key, member}
  end
  return score
end

local function take_back(writes, count)
  local inverse = {SADD = 'SREM', SREM = 'SADD', ZADD = 'ZREM', GEOADD = 'ZREM'}
  for number = count, 1, -1 do
    local write = writes[number]
    local last = write.last
    if type(last) == 'table' then
      redis.call('GEOADD', write[2], last[1], last[2], write[#write])
    elseif last then
      redis.call('ZADD', write[2], last, write[#write])
    elseif replies[number] == 1 then
      redis.call(inverse[write[1]], write[2], write[#write])
    end
  end
end

local function make(writes)
  for number = 1, #writes do
    local reply = redis.pcall(unpack(writes[number]))
    if type(reply) == 'table' then
      take_back(writes, number - 1)
      return reply
    end
    replies[number] = reply
  end
end

local function write_row(key, first, last, sums)
  local created = 0
  -- 2 000: unpack() overflows near 8 000.
  for place = first, last, 2000 do
    local reply = redis.pcall('HSET', key, unpack(ARGV, place, math.min(place + 1999, last)))
    if type(reply) == 'table' then
      return reply
    end
    created = created + reply
  end
  return sums[1] and created + redis.call('HSET', key, unpack(sums)) or created
end
