-- Reads of a row: when it was read, staged until they are confirmed, and how often it was.
-- Stores: 1 the list of staged moments, 2 the list of confirmed ones, 3 the hash with access_count and last_accessed, in
-- plain text as 1.x has them, and `staged_more`, how many staged moments the list had no room for; 4 the sorted set of
-- rows by confirmed reads.
-- acts: stage(moment, most); confirm(most) -> how many; discard(); count(), last() -> as stored, nil for none.
-- include: popoto.fields.access_tracker staging.lua
do
  local function confirm(one, event, words)
    local staged, log = store_key(one, 1, event.to, event.key), store_key(one, 2, event.to, event.key)
    local meta, ranks = store_key(one, 3, event.to, event.key), store_key(one, 4, event.to, event.key)
    local moments = redis.call('LRANGE', staged, 0, -1)
    if #moments == 0 then
      return '0'
    end
    local count = #moments + tonumber(redis.call('HGET', meta, 'staged_more') or 0)
    redis.call('LLEN', log)
    redis.call('ZSCORE', ranks, event.key)
    local total = redis.call('HINCRBY', meta, 'access_count', count)
    redis.call('HSET', meta, 'last_accessed', moments[#moments])
    redis.call('HDEL', meta, 'staged_more')
    -- 1 000: unpack() overflows near 8 000, and 1.x staged without a bound.
    for first = math.max(1, #moments - words[1] + 1), #moments, 1000 do
      redis.call('RPUSH', log, unpack(moments, first, math.min(first + 999, #moments)))
    end
    redis.call('LTRIM', log, -words[1], -1)
    redis.call('DEL', staged)
    redis.call('ZADD', ranks, total, event.key)
    return string.format('%.17g', count)
  end

  companion_kinds.access = {
    save = function(one, event)
      local count = event.op == 'reindex'
        and tonumber(redis.call('HGET', store_key(one, 3, event.to, event.key), 'access_count') or 0)
      if count and count > 0 then
        redis.call('ZADD', store_key(one, 4, event.to, event.key), count, event.key)
      end
    end,
    acts = {
      stage = function(one, event, words)
        local staged, meta = store_key(one, 1, event.to, event.key), store_key(one, 3, event.to, event.key)
        stage_read(staged, meta, words[1], tonumber(words[2]))
      end,
      confirm = confirm,
      discard = function(one, event)
        redis.call('DEL', store_key(one, 1, event.to, event.key))
        redis.call('HDEL', store_key(one, 3, event.to, event.key), 'staged_more')
      end,
      count = function(one, event)
        return redis.call('HGET', store_key(one, 3, event.to, event.key), 'access_count') or nil
      end,
      last = function(one, event)
        return redis.call('HGET', store_key(one, 3, event.to, event.key), 'last_accessed') or nil
      end,
    },
  }
end
