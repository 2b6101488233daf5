-- Predictions: what was predicted of a row and how it came out, as a map in a hash of the row's own, and its error's rank.
-- Stores: 1 the hash, whose one field is the row's key; 2 the sorted set of rows by error.
-- acts: record(bytes of the map); data() -> the map's bytes, nil for none;
--   resolve(error, its bytes, mode's bytes, moment's bytes, the bytes of the prediction that the error was computed from or
--   '' for any) -> the error, 'changed' when another prediction stands, nil when there is none or it is resolved.
-- Notes prediction_error. The prediction's own bytes are never read, let alone written anew.
-- include: popoto.fields maps.lua
do
  local ORDER = {'predicted', 'resolved', 'resolution_mode', 'prediction_error', 'resolved_at', 'recorded_at'}

  local function entry_key(one, event)
    return store_key(one, 1, event.to, event.key)
  end

  -- What 1.x left out, nil as it was, has its place again; what is not ours stays at the end.
  local function whole(items, keys)
    local listed, order = {}, {}
    for number, key in ipairs(ORDER) do
      order[number], listed[key] = key, true
    end
    for _, key in ipairs(keys) do
      if not listed[key] then
        order[#order + 1] = key
      end
    end
    return map_bytes(items, order)
  end

  local function resolve(one, event, words)
    local items, keys = map_items(redis.call('HGET', entry_key(one, event), event.key))
    if not items or items.resolved == '\195' then
      return nil
    end
    if words[5] ~= '' and items.predicted ~= words[5] then
      return 'changed'
    end
    items.resolved, items.prediction_error = '\195', words[2]
    items.resolution_mode, items.resolved_at = words[3], words[4]
    redis.call('ZADD', store_key(one, 2, event.to, event.key), words[1], event.key)
    redis.call('HSET', entry_key(one, event), event.key, whole(items, keys))
    event.noted.prediction_error = tonumber(words[1])
    return words[1]
  end

  companion_kinds.ledger = {
    move = function(one, from_key, to_key, from, to)
      local source, target = store_key(one, 1, from, from_key), store_key(one, 1, to, to_key)
      local raw = redis.call('HGET', source, from_key)
      if raw and source ~= target then
        redis.call('HSET', target, to_key, raw)
        redis.call('DEL', source)
      end
      moved_store(one, 2, from_key, to_key, from, to)
    end,
    acts = {
      record = function(one, event, words)
        redis.call('HSET', entry_key(one, event), event.key, words[1])
      end,
      resolve = resolve,
      data = function(one, event)
        return redis.call('HGET', entry_key(one, event), event.key) or nil
      end,
    },
  }
end
