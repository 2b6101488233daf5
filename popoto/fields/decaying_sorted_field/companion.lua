-- Base scores: the number by which each row's decay is multiplied, in a sorted set beside the times; 1 where it has none.
-- Every row has an entry: as many entries as times mean that no row's base has to be looked for in its hash.
-- include: popoto.fields.decaying_sorted_field base.lua
companion_kinds.base = {
  save = function(one, event)
    local score = string.format('%.17g', base_of(event.after[one.fields[1]]))
    redis.call('ZADD', store_key(one, 1, event.to, event.key), score, event.key)
  end,
}
