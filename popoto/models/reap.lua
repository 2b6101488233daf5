-- Takes a bounded number of expired rows out of their model's indexes.
-- KEYS: 1 the class set; 2 the expiry ledger; 3 its receipts. ARGV: the present in Unix milliseconds; how many at most.
-- Returns how many it looked at: fewer than the most were all.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.fields value_lists.lua
-- include: popoto.models digest.lua
-- include: popoto.models ledger.lua
return reap(KEYS[2], KEYS[3], KEYS[1], ARGV[1], ARGV[2])
