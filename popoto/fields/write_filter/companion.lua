-- Priority: the rows whose score reached the priority threshold at their last save, by score.
-- Stores: 1 the sorted set. said: the score, '' for one below the threshold.
companion_kinds.priority = {
  save = function(one, event)
    local priority = store_key(one, 1, event.to, event.key)
    if one.said and one.said[1] ~= '' then
      redis.call('ZADD', priority, one.said[1], event.key)
    elseif one.said then
      redis.call('ZREM', priority, event.key)
    end
  end,
}
