-- A capped list: a Redis list behind its row's key, the newest item first.
-- Said by a save: the items. push: how many to keep, and the item; replies the length.
companion_kinds.capped = {
  save = function(one, event)
    if not one.said then
      return
    end
    local key = store_key(one, 1, event.to, event.key)
    redis.call('DEL', key)
    for first = 1, #one.said, 1000 do
      redis.call('RPUSH', key, unpack(one.said, first, math.min(first + 999, #one.said)))
    end
  end,
  acts = {
    push = function(one, event, words)
      local key = store_key(one, 1, event.to, event.key)
      redis.call('LPUSH', key, words[2])
      redis.call('LTRIM', key, 0, words[1] - 1)
      return redis.call('LLEN', key)
    end,
  },
}
