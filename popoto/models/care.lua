-- Finds, and when asked removes, the entries of one set or sorted set that no row has.
-- KEYS: 1 the set or sorted set. ARGV: 1 to remove; number of members and the members;
--   the schema as entries.lua reads it: the one index, or none for the class set.
-- Returns the members that are strays.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
local removing = take() == '1'
local members = {}
for number = 1, tonumber(take()) do
  members[number] = take()
end
local schema = take_schema()
local index = schema[1]
local strays = {}
for _, member in ipairs(members) do
  local kept = redis.call('EXISTS', member) == 1
  if kept and index then
    local key, legacy = entry_keys(index, read_row(member, schema))
    kept = key == KEYS[1] or legacy == KEYS[1]
  end
  if not kept then
    strays[#strays + 1] = member
    if removing then
      redis.call(index and is_sorted(index) and 'ZREM' or 'SREM', KEYS[1], member)
    end
  end
end
return strays
