-- Saves rows: of each its hash, its index entries, its companions and its expiry, decided from the row that is stored now.
-- KEYS, of each row in turn: 1 the row; 2 the class set; 3 the expiry ledger; 4 its receipts; the row's former key, when it
--   is renamed; then other spellings of its key, when it is renamed or replaced. All rows are of one model.
-- ARGV: the rows as rows.lua reads them, and of each
--   the present in Unix milliseconds;
--   mode (replace: the row becomes just this; update: it must be there; insert: it must not; reindex: as update, and
--   every index entry is written anew);
--   expiry (default, keep, persist, px or at), its number of milliseconds, and the mark to keep with the row: a row whose
--   time to live is its own and not its model's says so in `$ttl`, so that a later save renews the right one;
--   number of key fields to know an older spelling by, and their names;
--   number of fields, and of each name and bytes;
--   number of scores, and of each field and score; number of tokens, and of each field and text;
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
local class_set, ledger, receipts = KEYS[2], KEYS[3], KEYS[4]
-- pieces: schema
-- A row with a time to live takes this many expired ones with it, so that indexes never grow by them.
local REAPED = 8
local EXPIRY_MARK = '$ttl'
schema.more = {EXPIRY_MARK}

local function write_hash(key, words)
  local created = 0
  -- 2 000: unpack() overflows near 8 000.
  for first = 1, #words, 2000 do
    created = created + redis.call('HSET', key, unpack(words, first, math.min(first + 1999, #words)))
  end
  return created
end

local function save_row(first_key, last_key)
  local row_key, former_key = KEYS[first_key], first_key + 4 <= last_key and KEYS[first_key + 4] or nil
  local now, mode, expiry, moment, mark = take(), take(), take(), take(), take()
  local reindexing = mode == 'reindex'
  mode = reindexing and 'update' or mode
  local key_fields = {}
  for number = 1, tonumber(take()) do
    key_fields[number] = take()
  end
  local pairs_given, changed = {}, {}
  for number = 1, 2 * tonumber(take()), 2 do
    local name, value = take(), take()
    pairs_given[number], pairs_given[number + 1] = name, value
    changed[name] = value
  end
  local scores = {}
  for number = 1, tonumber(take()) do
    local name = take()
    scores[name] = take()
  end
  local tokens_given = {}
  for number = 1, tonumber(take()) do
    local name = take()
    tokens_given[name] = take()
  end
  local expected = {}
  for number = 1, tonumber(take()) do
    local name = take()
    expected[name] = take()
  end
  local increments = {}
  for number = 1, tonumber(take()) do
    increments[number] = {field = take(), code = take(), delta = take()}
  end
  schema.companions = take_companions()
  local extras = take_extras()
  if mode == 'replace' then
    former_key = older_key(row_key, first_key + 4, last_key, key_fields, changed)
  end
  local source = former_key or row_key

  -- Look: everything that can be refused is found before the first write.
  local left = redis.call('PTTL', source)
  local present = left ~= -2
  if mode == 'update' and not present then
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
  local sums = {}
  for number, increment in ipairs(increments) do
    local raw, text = added(increment.code, redis.call('HGET', source, increment.field), increment.delta)
    if not raw then
      return redis.error_reply('INEXACT ' .. increment.field)
    end
    sums[number], changed[increment.field], scores[increment.field] = raw, raw, text
    pairs_given[#pairs_given + 1] = increment.field
    pairs_given[#pairs_given + 1] = raw
  end
  local function concerned(index)
    if mode ~= 'update' or reindexing or former_key or changed[index.field] then
      return true
    end
    for _, part in ipairs(index.partitions) do
      if changed[part.field] then
        return true
      end
    end
    return false
  end

  -- What is kept beside the values need not be read where neither an entry nor a companion nor the expiry depends on it.
  local quiet = mode == 'update' and not reindexing and not former_key and left == -1
    and (expiry == 'keep' or expiry == 'default' and moment == '') and not companions[1] and not extras[1]
  for _, index in ipairs(quiet and schema or {}) do
    quiet = quiet and not concerned(index)
  end
  local marks = quiet and redis.call('HMGET', source, RECEIPT, EXPIRY_MARK)
  if quiet and not marks[1] and not marks[2] then
    local known = redis.call('SISMEMBER', class_set, row_key) == 1
    local created = write_hash(source, pairs_given)
    if not known then
      enroll(class_set, row_key, schema, false)
    end
    if is_ledgered(ledger, receipts) then
      reap(ledger, receipts, class_set, now, REAPED)
    end
    return #sums > 0 and sums or created
  end
  local before, wrong = {}, nil
  if present then
    before, wrong = read_row(source, schema)
  end
  if wrong then
    return redis.error_reply(wrong)
  end
  local after = {}
  if mode == 'update' then
    for name, value in pairs(before) do
      after[name] = value
    end
  end
  for name, value in pairs(changed) do
    after[name] = value
  end
  local tokens = {}
  for name, text in pairs(mode == 'update' and before[RECEIPT] or {}) do
    tokens[name] = text
  end
  for name, text in pairs(tokens_given) do
    tokens[name] = text
  end
  for name, value in pairs(changed) do
    if tokens[name] and not tokens_given[name] then
      tokens[name] = nil
    end
  end
  after[RECEIPT] = tokens
  if former_key and mode == 'update' and #key_fields > 0 then
    local identity = {}
    for _, name in ipairs(key_fields) do
      identity[name] = changed[name] or redis.call('HGET', source, name)
    end
    if older_key(row_key, first_key + 5, last_key, key_fields, identity) then
      return redis.error_reply('TAKEN ' .. row_key)
    end
  end

  local function holds(index, holder, text_key)
    local row = read_row(holder, {index})
    return entry_keys(index, row) == text_key
  end

  local additions, removals = {}, {}
  local known = redis.call('SISMEMBER', class_set, row_key) == 1
  -- A row that had this key and has expired leaves its entries to nobody: values that it alone had are unlisted.
  local succeeds = (not present or former_key) and (known or is_ledgered(ledger, receipts))

  local function plan_removal(index, key, kept)
    if key and (former_key or key ~= kept) then
      local is_member
      if is_sorted(index) then
        is_member = redis.call('ZSCORE', key, source)
      else
        is_member = redis.call('SISMEMBER', key, source) == 1
      end
      if is_member then
        removals[#removals + 1] = {is_sorted(index) and 'ZREM' or 'SREM', key, source, index = index}
      end
      return is_member
    end
  end

  -- The members of a unique value's set that do not hold the value any more; false when one does.
  local function leftovers(key, index, wanted)
    local found = {}
    if redis.call('SCARD', key) > 64 then
      return false
    end
    for _, holder in ipairs(redis.call('SMEMBERS', key)) do
      if holder ~= source and holder ~= row_key then
        if holds(index, holder, wanted) then
          return false
        end
        found[#found + 1] = holder
      end
    end
    return found
  end

  for _, index in ipairs(schema) do
    if concerned(index) then
      local old_key, old_legacy = entry_keys(index, before)
      local key, legacy = entry_keys(index, after)
      local old_score
      if index.kind == 'Z' and old_key then
        old_score = redis.call('ZSCORE', old_key, source)
        if not old_score and old_legacy ~= old_key then
          old_score = redis.call('ZSCORE', old_legacy, source)
        end
      end
      plan_removal(index, old_key, key)
      if old_legacy ~= old_key then
        plan_removal(index, old_legacy, key)
      end
      if key and index.kind == 'U' and after[index.field] ~= NIL then
        local wrong = leftovers(key, index, key)
        local older = {}
        if wrong and legacy ~= key then
          older = leftovers(legacy, index, key)
        end
        if not wrong or not older then
          return redis.error_reply('UNIQ ' .. index.field)
        end
        for _, holder in ipairs(wrong) do
          removals[#removals + 1] = {'SREM', key, holder, index = index}
        end
      end
      if key and index.kind == 'Z' then
        local known = changed[index.field] or reindexing
        local score = known and scores[index.field] or old_score or scores[index.field]
        if score then
          redis.call('ZSCORE', key, row_key)
          additions[#additions + 1] = {'ZADD', key, score, row_key}
        elseif known then
          plan_removal(index, old_key, nil)
        end
      elseif key and index.kind == 'G' then
        local longitude, latitude = string.match(scores[index.field] or '', '^(%S+) (%S+)$')
        redis.call('ZCARD', key)
        if longitude then
          additions[#additions + 1] = {'GEOADD', key, longitude, latitude, row_key}
        end
      elseif key then
        redis.call('SISMEMBER', key, row_key)
        additions[#additions + 1] = {'SADD', key, row_key}
        local value = unlisted_value(index, key, succeeds)
        if value then
          additions[#additions + 1] = {'ZADD', index.list, 0, value}
        end
      end
    end
  end

  -- Where a composite index keeps the row: false when a living row has the same values and they must be unique.
  local function composite_place(index, texts)
    local chosen
    for _, digest in ipairs({digest_of(texts), measured_digest(texts)}) do
      local holder = redis.call('HGET', index.base, digest)
      local living = holder and holder ~= source and holder ~= row_key
        and composite_texts(index, read_row(holder, {index}))
      if index.kind == 'C' and same_texts(living, texts) then
        return false
      end
      if not chosen and (not living or index.kind == 'c') then
        chosen = digest
      end
    end
    return chosen
  end

  for _, index in ipairs(schema) do
    if is_composite(index) and concerned(index) then
      local texts = composite_texts(index, after)
      if former_key or not same_texts(composite_texts(index, before), texts) then
        for _, digest in ipairs(composite_places(index, before)) do
          if redis.call('HGET', index.base, digest) == source then
            removals[#removals + 1] = {'HDEL', index.base, digest}
          end
        end
      end
      if texts then
        local digest = composite_place(index, texts)
        if digest == false then
          return redis.error_reply('UNIQ ' .. index.field)
        end
        additions[#additions + 1] = {'HSET', index.base, digest, row_key}
      end
    end
  end
  local event = {
    op = reindexing and 'reindex' or present and 'update' or 'create', key = row_key, former = former_key,
    present = present, before = before, after = after, changed = changed, now = now,
    class_set = class_set,
  }
  local refusal = companions_look(event)
  if refusal then
    return redis.error_reply(refusal)
  end

  -- Write: a full server refuses the first command, before anything has changed.
  run_extras(extras, present and 'update' or 'create', extras[1] and sums[1] and value_text(increments[1].code, sums[1]))
  local kept = {[RECEIPT] = write_tokens(tokens), [EXPIRY_MARK] = mark}
  if mode ~= 'replace' and (expiry == 'default' or expiry == 'keep') then
    kept[EXPIRY_MARK] = before[EXPIRY_MARK] or ''
    local own = kept[EXPIRY_MARK]
    if own ~= '' and expiry == 'default' then
      expiry, moment = tonumber(own) and 'px' or 'none', own
    end
  end
  local created = write_hash(source, pairs_given)
  if succeeds then
    release(receipts, class_set, row_key)
    known = false
  end
  local stored = {[RECEIPT] = before[RECEIPT] and write_tokens(before[RECEIPT]), [EXPIRY_MARK] = before[EXPIRY_MARK]}
  for name, text in pairs(kept) do
    if text == '' and (stored[name] or '') ~= '' then
      redis.call('HDEL', source, name)
    elseif text ~= (stored[name] or '') then
      redis.call('HSET', source, name, text)
    end
  end
  if present and mode == 'replace' then
    for _, name in ipairs(redis.call('HKEYS', source)) do
      if not changed[name] and not kept[name] then
        redis.call('HDEL', source, name)
      end
    end
  end
  if former_key then
    redis.call('RENAME', former_key, row_key)
    withdraw(class_set, former_key)
  end
  for _, removal in ipairs(removals) do
    redis.call(unpack(removal))
  end
  for _, addition in ipairs(additions) do
    redis.call(unpack(addition))
  end
  for _, removal in ipairs(removals) do
    if removal.index then
      unlist_value(removal.index.list, removal[2])
    end
  end
  if not known then
    enroll(class_set, row_key, schema, mode ~= 'update' or reindexing or former_key)
  end
  companions_saved(event)
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
  companions_expire(row_key, left)
  if left > 0 then
    note(ledger, receipts, row_key, tonumber(now) + left, after, schema)
  elseif (expiry == 'persist' or mode ~= 'update') and is_ledgered(ledger, receipts) then
    forget(ledger, receipts, row_key)
  end
  if is_ledgered(ledger, receipts) then
    if former_key then
      forget(ledger, receipts, former_key)
    end
    reap(ledger, receipts, class_set, now, REAPED)
  end
  return #sums > 0 and sums or created
end
return each_row(save_row)
