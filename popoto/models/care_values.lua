-- Counts, and when asked removes, the values of a list that have no set.
-- KEYS: 1 the list. ARGV: 1 to remove; number of values and the values; the schema of the one index as entries.lua reads it.
-- Returns how many there are.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
local removing = take() == '1'
local values = {}
for number = 1, tonumber(take()) do
  values[number] = take()
end
local index = take_schema()[1]
local strays = 0
for _, value in ipairs(values) do
  if redis.call('EXISTS', index.base .. ':' .. text_part(value)) == 0 then
    strays = strays + 1
    if removing then
      redis.call('ZREM', KEYS[1], value)
    end
  end
end
return strays
