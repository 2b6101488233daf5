-- The decay clock of a row: its time in the hash, and its place in the order of times, set together.
-- Store: 1 the sorted set of times, which the field's index moves and drops. Settled: the field.
companion_kinds.clock = {
  acts = {
    -- The moment as a reply.
    touch = function(one, event, words)
      local moment = event.now / 1000
      redis.call('HSET', event.key, one.settled[1], float_bytes(moment))
      redis.call('ZADD', store_key(one, 1, event.to, event.key), string.format('%.17g', moment), event.key)
      return string.format('%.17g', moment)
    end,
  },
}
