-- Finds, and when asked removes, the entries of one set, sorted set or hash that no row has.
-- KEYS: 1 the set, sorted set or hash. ARGV: 1 to remove; number of members (of a hash its fields) and the members;
--   the schema as entries.lua reads it: the one index, or none for the class set.
-- Returns the members that are strays; of a hash the keys of rows that its stray fields name.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.fields value_lists.lua
-- include: popoto.models digest.lua
local removing = take() == '1'
local members = {}
for number = 1, tonumber(take()) do
  members[number] = take()
end
local schema = take_schema()
local index = schema[1]
local strays = {}
local composite = index and is_composite(index)
local remove = composite and 'HDEL' or index and is_sorted(index) and 'ZREM' or 'SREM'

local function has_place(member)
  local key = redis.call('HGET', KEYS[1], member)
  for _, digest in ipairs(key and composite_places(index, read_row(key, schema)) or {}) do
    if digest == member then
      return true
    end
  end
  return false
end

for _, member in ipairs(members) do
  local kept
  if composite then
    kept = has_place(member)
  else
    kept = redis.call('EXISTS', member) == 1
  end
  if kept and index and not composite then
    local key, legacy = entry_keys(index, read_row(member, schema))
    kept = key == KEYS[1] or legacy == KEYS[1]
  end
  if not kept then
    strays[#strays + 1] = composite and redis.call('HGET', KEYS[1], member) or member
    if removing and not index then
      withdraw(KEYS[1], member)
    elseif removing then
      redis.call(remove, KEYS[1], member)
      unlist_value(index.list, KEYS[1])
    end
  end
end
return strays
