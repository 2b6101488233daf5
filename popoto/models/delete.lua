-- Deletes rows: of each every index entry that its stored bytes tell of, and what its companions keep.
-- KEYS, of each row in turn: 1 the row; 2 the class set; 3 the expiry ledger; 4 its receipts; from 5 other spellings of the
--   row's key. All rows are of one model.
-- ARGV: the rows as rows.lua reads them, and of each
--   the present in Unix milliseconds; number of key fields to know an older spelling by, and of each name and bytes;
--   the companions as companions.lua reads them; the block of extras.lua.
-- Returns, as rows.lua does, 1 when the row was there, else 0.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- pieces: companions
-- pieces: lists
-- include: popoto.models extras.lua
-- pieces: composites
-- include: popoto.models ledger.lua
-- include: popoto.models spelling.lua
-- include: popoto.models rows.lua
local class_set, ledger, receipts = KEYS[2], KEYS[3], KEYS[4]
-- pieces: schema

local function delete_row(first_key, last_key)
  local row_key = KEYS[first_key]
  local now = take()
  local key_fields, key_values = {}, {}
  for number = 1, tonumber(take()) do
    key_fields[number] = take()
    key_values[key_fields[number]] = take()
  end
  row_key = older_key(row_key, first_key + 4, last_key, key_fields, key_values) or row_key
  schema.companions = take_companions()
  local extras = take_extras()
  local present = redis.call('EXISTS', row_key)
  local row, wrong = read_row(row_key, schema)
  if wrong then
    -- What others keep under the key is not ours to delete.
    present = 0
  end
  if present == 1 then
    local removals = {}
    for _, index in ipairs(schema) do
      for _, digest in ipairs(is_composite(index) and composite_places(index, row) or {}) do
        if redis.call('HGET', index.base, digest) == row_key then
          removals[#removals + 1] = {'HDEL', index.base, digest}
        end
      end
      local key, legacy = entry_keys(index, row)
      local command = is_sorted(index) and 'ZREM' or 'SREM'
      if key then
        removals[#removals + 1] = {command, key, row_key, index = index}
      end
      if legacy ~= key then
        removals[#removals + 1] = {command, legacy, row_key}
      end
    end
    -- A key of the wrong type is found here, before the first write.
    for _, removal in ipairs(removals) do
      local look = {ZREM = 'ZSCORE', SREM = 'SISMEMBER', HDEL = 'HEXISTS'}
      redis.call(look[removal[1]], removal[2], removal[3])
    end
    redis.call('SISMEMBER', class_set, row_key)
    local refused = run_extras(extras, 'delete')
    if refused then
      return refused
    end
    for _, removal in ipairs(removals) do
      redis.call(unpack(removal))
      if removal.index then
        unlist_value(removal.index.list, removal[2])
      end
    end
    companions_dropped(row_key, row)
    redis.call('DEL', row_key)
  elseif is_ledgered(ledger, receipts) then
    release(receipts, row_key)
  end
  if is_ledgered(ledger, receipts) then
    forget(ledger, receipts, row_key)
    reap(ledger, receipts, class_set, now, 8)
  end
  withdraw(class_set, row_key)
  return present
end
return each_row(delete_row)
