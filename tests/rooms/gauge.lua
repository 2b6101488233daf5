-- A gauge: a number beside each row that outcomes move, as a field with cycles and pressure does.
companion_kinds.gauge = {
  acts = {
    multiply = function(one, event, words)
      local key = store_key(one, 1, event.to, event.key)
      local number = tonumber(redis.call('HGET', key, event.key) or 1) * words[1]
      redis.call('HSET', key, event.key, string.format('%.17g', number))
      return string.format('%.17g', number)
    end,
    resolve = function(one, event, words)
      redis.call('HDEL', store_key(one, 1, event.to, event.key), event.key)
      return 'resolved'
    end,
  },
}
