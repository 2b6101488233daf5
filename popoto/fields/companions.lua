-- Companions: state beside a row, moved when the row is renamed or changes its partition, dropped when the row is gone.
-- A prelude: it needs arguments.lua, and text_of() and read_row() of entries.lua. The fragments of the model's companions
-- follow it.
--
-- take_companions()   their number; of each kind, name, 1 for bare parts; number of stores, and of each kind (H, Z, S,
--   K, L, R or F), before and after; number of partitions, and of each field and code; number of further fields, and the fields;
--   number of settled words and the words; number of said words and the words, or '-' when the save says nothing.
-- Each is a table: kind, name, stores, partitions, fields, settled, said (nil for nothing).
--
-- companion_kinds[kind]   what a fragment may define, each optional:
--   look(one, event)       an error text that refuses the save, before anything is written
--   save(one, event)       after the row was written and the stores were moved
--   leave(one, key, place) the row is going; its stores are still there
--   drop(one, key, place)  the row is gone; its stores were cleared
--   move(one, from_key, to_key, from, to)   instead of moving the stores
--   acts[verb](one, event, words)           a reply; the row exists; called by act.lua
-- event: op (create, update or reindex), key, former (when renamed), from and to (the places before and after; nil for
--   none), before and after (rows), changed (bytes by field), now (Unix milliseconds), class_set (its key). An act has
--   key, to, after and now; noted, the numbers by name on which the conditions of later actions depend; and stopped,
--   which it may set so that none follows.
--
-- store_key(one, number, place, key)   the key of a store
-- place_of(one, row)                   the partition's parts, each behind a colon; nil where the row does not tell
local companion_kinds = {}
local companions = {}

local function take_companions()
  for number = 1, tonumber(take()) do
    local one = {kind = take(), name = take(), bare = take() == '1', stores = {}, partitions = {}}
    for place = 1, tonumber(take()) do
      one.stores[place] = {kind = take(), before = take(), after = take()}
    end
    for place = 1, tonumber(take()) do
      one.partitions[place] = {field = take(), code = take()}
    end
    one.fields, one.settled = take_list(), take_list()
    local count = take()
    if count ~= '-' then
      one.said = {}
      for place = 1, tonumber(count) do
        one.said[place] = take()
      end
    end
    companions[number], companions[one.name] = one, one
  end
  return companions
end

-- 1.x wrote some parts as they are. Colons must be marked all the same, and what looks like a mark stays marked.
local function bared(part)
  if string.find(part, '&#58;', 1, true) or string.find(part, '^/+None$') then
    return part
  end
  return (string.gsub(part, '/(.)', '%1'))
end

local function place_of(one, row)
  local place = ''
  for _, part in ipairs(one.partitions) do
    local text = text_of(part.field, part.code, row)
    if not text then
      return nil
    end
    place = place .. ':' .. (one.bare and bared(text) or text)
  end
  return place
end

local function store_key(one, number, place, key)
  local store = one.stores[number]
  if store.kind == 'K' or store.kind == 'R' then
    return store.before .. ':' .. key
  elseif store.kind == 'L' then
    return key .. store.after
  end
  return store.before .. place .. store.after
end

local OWN = {K = true, L = true, R = true}
local LOOKS = {H = 'HEXISTS', Z = 'ZSCORE', S = 'SISMEMBER'}
local TAKES = {H = 'HDEL', Z = 'ZREM', S = 'SREM'}

local function moved_store(one, number, from_key, to_key, from, to)
  local kind = one.stores[number].kind
  if kind == 'F' then
    return
  end
  local source, target = store_key(one, number, from, from_key), store_key(one, number, to, to_key)
  if OWN[kind] then
    if source ~= target and redis.call('EXISTS', source) == 1 then
      redis.call('RENAME', source, target)
    end
    return
  end
  if source == target and from_key == to_key then
    return
  end
  if kind == 'H' then
    local known = redis.call('HGET', source, from_key)
    if known then
      redis.call('HSET', target, to_key, known)
    end
  elseif kind == 'Z' then
    local known = redis.call('ZSCORE', source, from_key)
    if known then
      redis.call('ZADD', target, known, to_key)
    end
  elseif redis.call('SISMEMBER', source, from_key) == 1 then
    redis.call('SADD', target, to_key)
  end
  redis.call(TAKES[kind], source, from_key)
end

-- What has a key of its own expires with the row, unless it is needed to let the row go.
local function companions_expire(key, left)
  for _, one in ipairs(companions) do
    for number, store in ipairs(one.stores) do
      if OWN[store.kind] then
        local own = store_key(one, number, '', key)
        if left > 0 and store.kind ~= 'R' then
          redis.call('PEXPIRE', own, left)
        else
          redis.call('PERSIST', own)
        end
      end
    end
  end
end

-- A key of the wrong type is found here, before the first write.
local function companions_look(event)
  for _, one in ipairs(companions) do
    one.from, one.to = event.present and place_of(one, event.before) or nil, place_of(one, event.after)
    for number, store in ipairs(one.stores) do
      if one.to and LOOKS[store.kind] then
        redis.call(LOOKS[store.kind], store_key(one, number, one.to, event.key), event.key)
      end
    end
    local look = companion_kinds[one.kind].look
    event.from, event.to = one.from, one.to
    local refusal = look and look(one, event)
    if refusal then
      return refusal
    end
  end
end

local function companions_saved(event)
  for _, one in ipairs(companions) do
    local kind = companion_kinds[one.kind]
    event.from, event.to = one.from, one.to
    local source = event.former or event.key
    if event.from and event.to and (event.former or event.from ~= event.to) then
      if kind.move then
        kind.move(one, source, event.key, event.from, event.to)
      else
        for number = 1, #one.stores do
          moved_store(one, number, source, event.key, event.from, event.to)
        end
      end
    end
    if kind.save and event.to then
      kind.save(one, event)
    end
  end
end

local function companion_dropped(one, key, place)
  local leave = companion_kinds[one.kind].leave
  if leave then
    leave(one, key, place)
  end
  for number, store in ipairs(one.stores) do
    if OWN[store.kind] then
      redis.call('DEL', store_key(one, number, place, key))
    elseif store.kind ~= 'F' then
      redis.call(TAKES[store.kind], store_key(one, number, place, key), key)
    end
  end
  local drop = companion_kinds[one.kind].drop
  if drop then
    drop(one, key, place)
  end
end

local function companions_dropped(key, row)
  for _, one in ipairs(companions) do
    local place = place_of(one, row)
    if place then
      companion_dropped(one, key, place)
    end
  end
end
