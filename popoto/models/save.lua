-- Saves rows: of each its hash, its index entries, its companions and its expiry, decided from the row that is stored now.
-- KEYS, of each row in turn: 1 the row; 2 the class set; 3 the expiry ledger; 4 its receipts; the row's former key, when it
--   is renamed; then other spellings of its key, when it is renamed or replaced. All rows are of one model.
-- ARGV: the rows as rows.lua reads them, and of each
--   the present in Unix milliseconds;
--   mode (replace: the row becomes just this; update: it must be there; insert: it must not; reindex: as update, and
--   every index entry is written anew);
--   expiry (default, keep, persist, px or at), its number of milliseconds, and the mark to keep with the row: a row whose
--   time to live is its own and not its model's says so in `$ttl`, so that a later save renews the right one;
--   number of fields, and of each name and bytes; number of scores, and of each field and score;
--   0 when that is all, as of most rows, else 1 and
--   number of key fields to know an older spelling by, and their names; number of tokens, and of each field and text;
--   number of expectations, and of each field and the bytes it must hold ('' for none);
--   number of increments, and of each field, code and what to add;
--   the companions as companions.lua reads them; the block of extras.lua.
-- Returns, as rows.lua does, the number of new hash fields, or with increments the bytes of each sum. Errors, with
--   nothing changed: GONE key, TAKEN key, UNIQ field, STALE field when an expectation fails, INEXACT field for a sum
--   beyond doubles.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- pieces: arithmetic
-- pieces: companions
-- pieces: lists
-- include: popoto.models extras.lua
-- pieces: composites
-- include: popoto.models ledger.lua
-- include: popoto.models spelling.lua
-- include: popoto.models rows.lua
-- include: popoto.models writes.lua
local class_set, ledger, receipts = KEYS[2], KEYS[3], KEYS[4]
-- pieces: schema
-- A row with a time to live takes this many expired ones with it, so that indexes never grow by them.
local REAPED = 8
local EXPIRY_MARK = '$ttl'

local function touches(index, changed)
  if changed[index.field] then
    return true
  end
  for _, part in ipairs(index.partitions or NONE) do
    if changed[part.field] then
      return true
    end
  end
  return false
end

-- The members of a unique value's set that do not hold the value any more; nil when one does.
local function leftovers(key, index, wanted, source, row_key)
  local found = {}
  if redis.call('SCARD', key) > 64 then
    return nil
  end
  for _, holder in ipairs(redis.call('SMEMBERS', key)) do
    if holder ~= source and holder ~= row_key then
      if entry_keys(index, read_row(holder, {index})) == wanted then
        return nil
      end
      found[#found + 1] = holder
    end
  end
  return found
end

local function keep_beside(key, name, text, known)
  if text == '' and known ~= '' then
    redis.call('HDEL', key, name)
  elseif text ~= known then
    redis.call('HSET', key, name, text)
  end
end

local function save_row(first_key, last_key)
  local row_key, former_key = KEYS[first_key], first_key + 4 <= last_key and KEYS[first_key + 4] or nil
  local now, mode, expiry, moment, mark = take(), take(), take(), take(), take()
  local reindexing = mode == 'reindex'
  local updating = reindexing or mode == 'update'
  local first_word = at + 2
  local changed = take_pairs()
  local last_word = at
  local scores = take_pairs()
  local key_fields, tokens_given, expected, increments, extras = NONE, NONE, NONE, NONE, NONE
  if take() == '1' then
    key_fields, tokens_given, expected, increments = take_list(), take_pairs(), take_pairs(), {}
    for number = 1, tonumber(take()) do
      increments[number] = {field = take(), code = take(), delta = take()}
    end
    schema.companions = take_companions()
    extras = take_extras()
  end
  if mode == 'replace' then
    former_key = older_key(row_key, first_key + 4, last_key, key_fields, changed)
  end
  local source = former_key or row_key

  -- Look: what can be refused is found before the first write.
  local left
  if updating then
    left = redis.call('PTTL', source)
  else
    -- One look tells of most new rows that nothing has their key, and that no row of the model expires.
    local there = redis.call('EXISTS', source, ledger, receipts)
    left = there == 0 and -2 or redis.call('PTTL', source)
    ledgered = there > (left == -2 and 0 or 1)
  end
  local present = left ~= -2
  if updating and not present then
    return redis.error_reply('GONE ' .. source)
  end
  if (mode == 'insert' and present) or (former_key and redis.call('EXISTS', row_key) == 1) then
    return redis.error_reply('TAKEN ' .. row_key)
  end
  for name, value in pairs(expected) do
    if (redis.call('HGET', source, name) or '') ~= value then
      return redis.error_reply('STALE ' .. name)
    end
  end
  local sums, sum_words = {}, {}
  for number, increment in ipairs(increments) do
    local raw, text = added(increment.code, redis.call('HGET', source, increment.field), increment.delta)
    if not raw then
      return redis.error_reply('INEXACT ' .. increment.field)
    end
    sums[number], changed[increment.field], scores[increment.field] = raw, raw, text
    sum_words[2 * number - 1], sum_words[2 * number] = increment.field, raw
  end
  local whole = not updating or reindexing or former_key ~= nil
  local moving = whole and schema or {}
  for _, index in ipairs(whole and NONE or schema) do
    if touches(index, changed) then
      moving[#moving + 1] = index
    end
  end

  -- What is kept beside the values need not be read where neither an entry nor a companion nor the expiry depends on it.
  local quiet = not whole and not moving[1] and left == -1 and (expiry == 'keep' or expiry == 'default' and moment == '')
    and not companions[1] and not extras[1]
  local marks = quiet and redis.call('HMGET', source, RECEIPT, EXPIRY_MARK)
  if quiet and not marks[1] and not marks[2] then
    redis.call('SADD', class_set, row_key)
    local created = write_row(source, first_word, last_word, sum_words)
    if type(created) == 'table' then
      return created
    end
    if is_ledgered(ledger, receipts) then
      reap(ledger, receipts, class_set, now, REAPED)
    end
    return sums[1] and sums or created
  end
  local before, wrong = {}, nil
  if present then
    before, wrong = read_row(source, schema)
  end
  if wrong then
    return redis.error_reply(wrong)
  end
  local after, tokens = changed, tokens_given
  if updating or companions[1] then
    after, tokens = {}, {}
    for name, value in pairs(updating and before or NONE) do
      after[name] = value
    end
    for name, value in pairs(changed) do
      after[name] = value
    end
    for name, text in pairs(updating and before[RECEIPT] or NONE) do
      tokens[name] = not changed[name] and text or nil
    end
    for name, text in pairs(tokens_given) do
      tokens[name] = text
    end
  end
  after[RECEIPT] = tokens
  if former_key and updating and key_fields[1] then
    local identity = {}
    for _, name in ipairs(key_fields) do
      identity[name] = changed[name] or redis.call('HGET', source, name)
    end
    if older_key(row_key, first_key + 5, last_key, key_fields, identity) then
      return redis.error_reply('TAKEN ' .. row_key)
    end
  end

  local writes, emptied = {}, {}
  for _, index in ipairs(moving) do
    local key, legacy = entry_keys(index, after)
    local old_key, old_legacy, score, legacy_score
    if present then
      local kept = not former_key and key or nil
      old_key, old_legacy = entry_keys(index, before)
      score = old_key and leave(writes, index, old_key, kept, source)
      legacy_score = old_legacy ~= old_key and leave(writes, index, old_legacy, kept, source)
      if old_key and index.list and old_key ~= kept then
        emptied[#emptied + 1] = {index.list, old_key}
      end
    end
    if key and index.kind == 'Z' then
      local known = changed[index.field] or reindexing
      local place = known and scores[index.field] or score or legacy_score or scores[index.field]
      if place then
        local last = not former_key and (key == old_key and score or key == old_legacy and legacy_score) or nil
        writes[#writes + 1] = last and {'ZADD', key, place, row_key, last = last} or {'ZADD', key, place, row_key}
      end
    elseif key and index.kind == 'G' then
      local longitude, latitude = string.match(scores[index.field] or '', '^(%S+) (%S+)$')
      if longitude then
        local last = not former_key and score or nil
        writes[#writes + 1] = {'GEOADD', key, longitude, latitude, row_key, last = last}
      end
    elseif key then
      if index.kind == 'U' and after[index.field] ~= NIL then
        local wrong = leftovers(key, index, key, source, row_key)
        if not wrong or (legacy ~= key and not leftovers(legacy, index, key, source, row_key)) then
          return redis.error_reply('UNIQ ' .. index.field)
        end
        for _, holder in ipairs(wrong) do
          writes[#writes + 1] = {'SREM', key, holder}
        end
      end
      writes[#writes + 1] = {'SADD', key, row_key}
      local value = listed_value(index, key)
      if value then
        writes[#writes + 1] = {'ZADD', index.list, 0, value}
      end
    end
  end
  local moves, taken = composite_moves(moving, before, after, source, row_key, former_key)
  if taken then
    return redis.error_reply('UNIQ ' .. taken)
  end
  local event
  if companions[1] then
    event = {
      op = reindexing and 'reindex' or present and 'update' or 'create', key = row_key, former = former_key,
      present = present, before = before, after = after, changed = changed, now = now,
      class_set = class_set,
    }
    local refusal = companions_look(event)
    if refusal then
      return redis.error_reply(refusal)
    end
  end

  -- Write: a full server refuses the first command, before anything has changed.
  local joined = redis.call('SADD', class_set, row_key) == 1
  local succeeds = not present or former_key
  if succeeds and is_ledgered(ledger, receipts) then
    release(receipts, row_key)
  end
  local failure = make(writes)
  local made = failure and 0 or #writes
  if not failure and extras[1] then
    failure = run_extras(extras, present and 'update' or 'create', sums[1] and value_text(increments[1].code, sums[1]))
  end
  local created = failure or write_row(source, first_word, last_word, sum_words)
  if type(created) == 'table' then
    take_back(writes, made)
    if joined then
      redis.call('SREM', class_set, row_key)
    end
    return created
  end
  if mode ~= 'replace' and (expiry == 'default' or expiry == 'keep') then
    mark = before[EXPIRY_MARK] or ''
    if mark ~= '' and expiry == 'default' then
      expiry, moment = tonumber(mark) and 'px' or 'none', mark
    end
  end
  keep_beside(source, RECEIPT, write_tokens(tokens), before[RECEIPT] and write_tokens(before[RECEIPT]) or '')
  keep_beside(source, EXPIRY_MARK, mark, before[EXPIRY_MARK] or '')
  if present and mode == 'replace' then
    for _, name in ipairs(redis.call('HKEYS', source)) do
      if not changed[name] and name ~= RECEIPT and name ~= EXPIRY_MARK then
        redis.call('HDEL', source, name)
      end
    end
  end
  if former_key then
    redis.call('RENAME', former_key, row_key)
    withdraw(class_set, former_key)
  end
  if succeeds and not joined then
    -- The class set still named a row that had this key and is gone.
    withdraw(class_set, row_key)
    joined = redis.call('SADD', class_set, row_key) == 1
  end
  if joined and whole then
    enroll(class_set, schema)
  end
  for _, move in ipairs(moves or NONE) do
    redis.call(unpack(move))
  end
  for _, one in ipairs(emptied) do
    unlist_value(one[1], one[2])
  end
  if event then
    companions_saved(event)
  end
  if expiry == 'persist' and left >= 0 then
    redis.call('PERSIST', row_key)
    left = -1
  elseif expiry == 'px' or (expiry == 'default' and moment ~= '') then
    redis.call('PEXPIRE', row_key, moment)
    left = redis.call('PTTL', row_key)
  elseif expiry == 'at' then
    redis.call('PEXPIREAT', row_key, moment)
    left = redis.call('PTTL', row_key)
  end
  if event then
    companions_expire(row_key, left)
  end
  if left > 0 then
    keep_ledger()
    note(ledger, receipts, row_key, tonumber(now) + left, after, schema)
  elseif (expiry == 'persist' or not updating) and is_ledgered(ledger, receipts) then
    forget(ledger, receipts, row_key)
  end
  if is_ledgered(ledger, receipts) then
    if former_key then
      forget(ledger, receipts, former_key)
    end
    reap(ledger, receipts, class_set, now, REAPED)
  end
  return sums[1] and sums or created
end
return each_row(save_row)
