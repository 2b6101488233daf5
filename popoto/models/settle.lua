-- Notes that the values of every row of a model are listed, after its indexes were written anew.
-- KEYS: 1 the class set. ARGV: the schema as entries.lua reads it. Returns 1.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.fields value_lists.lua
settle_roster(KEYS[1], take_schema())
return 1
