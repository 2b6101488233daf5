-- A tally: how often its row was saved, in a hash, and what was added to it by hand, in a sorted set.
companion_kinds.tally = {
  look = function(one, event)
    if one.said and one.said[1] == 'refuse' then
      return 'TALLY ' .. one.name
    end
  end,
  save = function(one, event)
    if one.said then
      redis.call('HINCRBY', store_key(one, 1, event.to, event.key), event.key, 1)
      redis.call('HSET', store_key(one, 3, event.to, event.key), 'last', one.said[1] .. one.settled[1] .. event.op)
    end
  end,
  leave = function(one, key, place)
    if redis.call('ZSCORE', store_key(one, 2, place, key), key) == '99' then
      redis.call('SADD', one.settled[2], 'ninety-nine ' .. key)
    end
  end,
  drop = function(one, key, place)
    redis.call('SADD', one.settled[2], key)
  end,
  acts = {
    add = function(one, event, words)
      local sum = redis.call('ZINCRBY', store_key(one, 2, event.to, event.key), words[1], event.key)
      event.noted.sum = tonumber(sum)
      return sum
    end,
    stop = function(one, event)
      event.stopped = true
      return 'stopped'
    end,
  },
}
