-- Vectors: in a hash by row, their versions in a sorted set, so that who knows some learns what has changed since.
-- Its stores are 1 the vectors and 2 the versions. Beside them lie `meta`, a hash of epoch, version, floor, provider,
-- model, dim and normalised, and `gone`, a sorted set of rows that have a vector no more by the version of that moment.
-- A save says provider, model, dim, a new epoch and the vector's bytes; or one empty word: there is no vector any more.
-- Versions are counted within an epoch; a field without vectors has none. Of `gone` the newest 10 000 are kept, the
-- floor is the last version that was let go: who knows less than that starts anew.
local EMBEDDED_GONE = 10000

local function embedded_keys(one)
  local base = string.sub(one.stores[1].before, 1, -(#':vectors' + 1))
  return base .. ':vectors', base .. ':versions', base .. ':meta', base .. ':gone'
end

local function embedded_put(one, key, value)
  local vectors, versions, meta, gone = embedded_keys(one)
  local version = redis.call('HINCRBY', meta, 'version', 1)
  redis.call('HSET', vectors, key, value)
  redis.call('ZADD', versions, string.format('%.17g', version), key)
  redis.call('ZREM', gone, key)
end

local function embedded_gone(one, key)
  local vectors, versions, meta, gone = embedded_keys(one)
  redis.call('HDEL', vectors, key)
  redis.call('ZREM', versions, key)
  if redis.call('EXISTS', vectors) == 0 then
    redis.call('DEL', versions, meta, gone)
    return
  end
  local version = redis.call('HINCRBY', meta, 'version', 1)
  redis.call('ZADD', gone, string.format('%.17g', version), key)
  local many = redis.call('ZCARD', gone) - EMBEDDED_GONE
  if many > 0 then
    redis.call('HSET', meta, 'floor', redis.call('ZRANGE', gone, many - 1, many - 1, 'WITHSCORES')[2])
    redis.call('ZREMRANGEBYRANK', gone, 0, many - 1)
  end
end

-- Who made the vectors, when that is another than these words say; else nil.
local function embedded_other(one, words)
  local vectors, versions, meta = embedded_keys(one)
  local maker = redis.call('HMGET', meta, 'provider', 'model', 'dim')
  if maker[1] and (maker[1] ~= words[1] or maker[2] ~= words[2] or maker[3] ~= words[3]) then
    return maker[1] .. ' ' .. maker[2] .. ' of ' .. maker[3] .. ' dimensions'
  end
end

-- The first vector, or the only one that is replaced by another maker's, begins a new epoch.
local function embedded_begun(one, words)
  local vectors, versions, meta, gone = embedded_keys(one)
  if redis.call('EXISTS', meta) == 0 or embedded_other(one, words) then
    redis.call('DEL', meta, gone)
    redis.call('HSET', meta, 'provider', words[1], 'model', words[2], 'dim', words[3], 'epoch', words[4],
      'version', '0', 'floor', '0', 'normalised', '1')
  end
end

companion_kinds.embedded = {
  look = function(one, event)
    local words = one.said
    if not words or words[1] == '' then
      return
    end
    local vectors = embedded_keys(one)
    local own = redis.call('HEXISTS', vectors, event.former or event.key)
    local other = embedded_other(one, words)
    if other and redis.call('HLEN', vectors) > own then
      return 'EMBEDDED ' .. one.name .. ' ' .. other
    end
  end,
  save = function(one, event)
    local words = one.said
    if not words then
      return
    end
    if words[1] ~= '' then
      embedded_begun(one, words)
      embedded_put(one, event.key, words[5])
    elseif redis.call('HEXISTS', embedded_keys(one), event.key) == 1 then
      embedded_gone(one, event.key)
    end
  end,
  move = function(one, from_key, to_key)
    local value = redis.call('HGET', embedded_keys(one), from_key)
    if value then
      embedded_put(one, to_key, value)
      embedded_gone(one, from_key)
    end
  end,
  drop = function(one, key)
    local _, _, meta = embedded_keys(one)
    if redis.call('EXISTS', meta) == 1 then
      embedded_gone(one, key)
    end
  end,
  acts = {
    -- A vector that was made elsewhere, where the row has none: 1 when it was taken.
    take = function(one, event, words)
      if redis.call('HEXISTS', embedded_keys(one), event.key) == 1 or embedded_other(one, words) then
        return '0'
      end
      embedded_begun(one, words)
      embedded_put(one, event.key, words[5])
      return '1'
    end,
  },
}
