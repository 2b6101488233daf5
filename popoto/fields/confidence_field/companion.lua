-- Confidence: what signals have taught about a row, as a map in a hash, and the row's rank by it.
-- Stores: 1 the hash of maps, 2 the sorted set. Fields: the row's own value, which is kept equal to what was learned.
-- said: the confidence of a row that has no value.
-- acts: signal(signal, initial, 1 to apply it only where it lowers) -> the new confidence, nil when not applied;
--   data() -> the map's bytes, nil for none; target() -> the key of the row's hash;
--   migrate(key of a hash, key of its ranking) -> takes the row's map over from there, where it has more evidence.
-- Notes confidence, the lowest of the row's fields.
-- include: popoto.models arithmetic.lua
-- include: popoto.fields maps.lua
do
  local KEYS_OF_MAP = {'confidence', 'evidence_count', 'corroborations', 'contradictions'}

  local function in_unit(number)
    return number and number >= 0 and number <= 1 and number or nil
  end

  local function entry_of(raw)
    local items = map_items(raw)
    local confidence = items and in_unit(value_number(items.confidence))
    if not confidence then
      return nil
    end
    local entry = {confidence = confidence}
    for number = 2, 4 do
      local name = KEYS_OF_MAP[number]
      local count = value_number(items[name])
      entry[name] = count and count >= 0 and count < 2 ^ 53 and math.floor(count) or 0
    end
    return entry
  end

  local function known(one, event)
    return entry_of(redis.call('HGET', store_key(one, 1, event.to, event.key), event.key))
  end

  local function prior(one, event, initial)
    local confidence = in_unit(value_number(event.after[one.name])) or tonumber(initial)
    return {confidence = confidence, evidence_count = 0, corroborations = 0, contradictions = 0}
  end

  -- The sorted set first: a key of the wrong type refuses it before anything has changed.
  local function keep(one, event, entry)
    local items = {confidence = float_bytes(entry.confidence)}
    for number = 2, 4 do
      items[KEYS_OF_MAP[number]] = int_bytes(entry[KEYS_OF_MAP[number]])
    end
    local rank = store_key(one, 2, event.to, event.key)
    redis.call('ZADD', rank, string.format('%.17g', entry.confidence), event.key)
    redis.call('HSET', store_key(one, 1, event.to, event.key), event.key, map_bytes(items, KEYS_OF_MAP))
    if event.after[one.name] ~= items.confidence then
      redis.call('HSET', event.key, one.name, items.confidence)
      event.after[one.name] = items.confidence
    end
  end

  -- The place that 1.x gave a row: values as they are, and nothing for None.
  local function place_of_1x(one, row)
    local place = ''
    for _, part in ipairs(one.partitions) do
      if row[part.field] ~= NIL then
        local _, text = text_of(part.field, part.code, row)
        text = string.gsub(text or '', '{&#58;}', ':')
        place = place .. ':' .. string.gsub(text, '/(.)', '%1')
      end
    end
    return place
  end

  local function brought_over(one, event)
    local former = store_key(one, 1, place_of_1x(one, event.after), event.key)
    local raw = former ~= store_key(one, 1, event.to, event.key) and redis.call('HGET', former, event.key)
    if raw then
      redis.call('HDEL', former, event.key)
    end
    return entry_of(raw)
  end

  local function save(one, event)
    if event.op == 'update' and not event.changed[one.name]
      and redis.call('HEXISTS', store_key(one, 1, event.to, event.key), event.key) == 1 then
      return
    end
    local entry = known(one, event)
    if event.op == 'reindex' and not entry then
      entry = brought_over(one, event)
    end
    local assigned = event.op ~= 'reindex' and event.changed[one.name]
    if entry and (entry.evidence_count > 0 or not assigned) then
      if event.op == 'reindex' or event.after[one.name] ~= float_bytes(entry.confidence) then
        keep(one, event, entry)
      end
    elseif one.said or assigned then
      keep(one, event, prior(one, event, one.said and one.said[1] or entry and entry.confidence or 0.5))
    end
  end

  local function signal(one, event, words)
    local target, entry = tonumber(words[1]), known(one, event) or prior(one, event, words[2])
    if words[3] == '1' and target >= entry.confidence then
      return nil
    end
    local moved = entry.confidence + (target - entry.confidence) / math.sqrt(entry.evidence_count + 1)
    entry.confidence = math.max(0, math.min(1, moved))
    entry.evidence_count = entry.evidence_count + 1
    local count = target >= 0.5 and 'corroborations' or 'contradictions'
    entry[count] = entry[count] + 1
    keep(one, event, entry)
    event.noted.confidence = math.min(event.noted.confidence or entry.confidence, entry.confidence)
    return string.format('%.17g', entry.confidence)
  end

  local function migrate(one, event, words)
    local data, rank = words[1], words[2]
    local raw = redis.call('HGET', data, event.key)
    if not raw then
      return nil
    end
    local found, own = entry_of(raw), known(one, event)
    if not found then
      return 'unreadable'
    end
    if not own or own.evidence_count <= found.evidence_count then
      keep(one, event, found)
    end
    if data ~= store_key(one, 1, event.to, event.key) then
      redis.call('ZREM', rank, event.key)
      redis.call('HDEL', data, event.key)
    end
    return 'migrated'
  end

  companion_kinds.confidence = {
    save = save,
    acts = {
      signal = signal,
      migrate = migrate,
      data = function(one, event)
        return redis.call('HGET', store_key(one, 1, event.to, event.key), event.key) or nil
      end,
      target = function(one, event)
        return store_key(one, 1, event.to, event.key)
      end,
    },
  }
end
