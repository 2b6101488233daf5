-- Decay: the number by which each row's decay is multiplied, in a sorted set beside the times; 1 where it has none.
-- Every row has an entry: as many entries as times mean that no row's base has to be looked for in its hash.
-- Settled: the field; what its key of times begins with; what the store's key begins with; both without the store's own
-- prefix, which the latter tells. Fields: the base, where there is one.
-- acts: touch() -> the present in seconds, at which the row decays from now on.
-- include: popoto.models arithmetic.lua
-- include: popoto.fields.decaying_sorted_field base.lua
companion_kinds.decay = {
  save = function(one, event)
    if one.fields[1] then
      local score = string.format('%.17g', base_of(event.after[one.fields[1]]))
      redis.call('ZADD', store_key(one, 1, event.to, event.key), score, event.key)
    end
  end,
  acts = {
    touch = function(one, event)
      local before = one.stores[1].before
      local times = string.sub(before, 1, #before - #one.settled[3]) .. one.settled[2] .. event.to
      local moment = string.format('%.17g', event.now / 1000)
      redis.call('ZADD', times, moment, event.key)
      redis.call('HSET', event.key, one.settled[1], float_bytes(event.now / 1000))
      return moment
    end,
  },
}
