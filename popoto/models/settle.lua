-- Notes that the values of every row of a model are listed, after its indexes were written anew.
-- KEYS: 1 the class set. ARGV: the schema as entries.lua reads it. Returns 1.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.fields value_lists.lua
local fields, size = {}, redis.call('SCARD', KEYS[1])
for _, index in ipairs(take_schema()) do
  if index.list then
    fields[#fields + 1] = index.field
  end
end
if fields[1] and size > 0 then
  redis.call('HSET', roster_of(KEYS[1]), table.concat(fields, ','), size)
end
return 1
