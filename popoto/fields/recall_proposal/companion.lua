-- Proposals of a row: in which pending sets it is, and the outcomes that were reported of it last.
-- Stores: 1 the set of its partitions, 2 the list of its last outcomes' ids, 3 the pending set of the default partition.
-- acts: resolve() -> from how many pending sets it was taken; once(id) -> 'repeated' when the id is known, and then no
--   action follows.
-- include: popoto.fields.recall_proposal pending.lua
do
  local IDS_KEPT = 16

  local function pending_base(one)
    return string.gsub(one.stores[1].before, ':of$', ':pending')
  end

  companion_kinds.recall_proposal = {
    leave = function(one, key, place)
      unproposed(pending_base(one), store_key(one, 1, place, key), key)
    end,
    move = function(one, from_key, to_key, from, to)
      local base = pending_base(one)
      for _, place in ipairs(pending_places(store_key(one, 1, from, from_key))) do
        local pending = base .. ':' .. place
        local at = redis.call('ZSCORE', pending, from_key)
        if at then
          redis.call('ZADD', pending, at, to_key)
          redis.call('ZREM', pending, from_key)
        end
      end
      moved_store(one, 1, from_key, to_key, from, to)
      moved_store(one, 2, from_key, to_key, from, to)
    end,
    acts = {
      resolve = function(one, event)
        local count = unproposed(pending_base(one), store_key(one, 1, event.to, event.key), event.key)
        return string.format('%.17g', count)
      end,
      once = function(one, event, words)
        local ids = store_key(one, 2, event.to, event.key)
        for _, id in ipairs(redis.call('LRANGE', ids, 0, IDS_KEPT - 1)) do
          if id == words[1] then
            event.stopped = true
            return 'repeated'
          end
        end
        redis.call('LPUSH', ids, words[1])
        redis.call('LTRIM', ids, 0, IDS_KEPT - 1)
      end,
    },
  }
end
