-- Deletes one row and every index entry that its stored bytes tell of.
-- KEYS: 1 the row; 2 the class set. ARGV: the schema as entries.lua reads it.
-- Returns 1 when the row was there, else 0.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
local row_key, class_set = KEYS[1], KEYS[2]
local schema = take_schema()
local present = redis.call('EXISTS', row_key)
if present == 1 then
  local row = read_row(row_key, schema)
  local removals = {}
  for _, index in ipairs(schema) do
    local key, legacy = entry_keys(index, row)
    local command = index.kind == 'Z' and 'ZREM' or 'SREM'
    if key then
      removals[#removals + 1] = {command, key, row_key}
    end
    if legacy ~= key then
      removals[#removals + 1] = {command, legacy, row_key}
    end
  end
  -- A key of the wrong type is found here, before the first write.
  for _, removal in ipairs(removals) do
    redis.call(removal[1] == 'ZREM' and 'ZSCORE' or 'SISMEMBER', removal[2], row_key)
  end
  redis.call('SISMEMBER', class_set, row_key)
  for _, removal in ipairs(removals) do
    redis.call(unpack(removal))
  end
  redis.call('DEL', row_key)
end
redis.call('SREM', class_set, row_key)
return present
