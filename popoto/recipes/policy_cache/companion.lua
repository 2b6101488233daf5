-- A policy's value, learned from rewards: a member of a sorted set of its own, which saves and reads leave alone.
companion_kinds.q_value = {
  acts = {
    -- words: reward, best value that follows, learning rate, discount. Returns the error before the step.
    learn = function(one, event, words)
      local key = store_key(one, 1, event.to, event.key)
      local value = tonumber(redis.call('ZSCORE', key, event.key) or '0')
      local surprise = tonumber(words[1]) + tonumber(words[4]) * tonumber(words[2]) - value
      redis.call('ZADD', key, string.format('%.17g', value + tonumber(words[3]) * surprise), event.key)
      return string.format('%.17g', surprise)
    end,
    -- words: the value, whether a known one stays.
    begin = function(one, event, words)
      local key = store_key(one, 1, event.to, event.key)
      if words[2] == '1' then
        redis.call('ZADD', key, 'NX', words[1], event.key)
      else
        redis.call('ZADD', key, words[1], event.key)
      end
    end,
    look = function(one, event)
      return redis.call('ZSCORE', store_key(one, 1, event.to, event.key), event.key)
    end,
  },
}
