-- Takes a bounded number of expired rows out of their model's indexes and companions.
-- KEYS: 1 the class set; 2 the expiry ledger; 3 its receipts. ARGV: the present in Unix milliseconds; how many at most;
--   the companions as companions.lua reads them.
-- Returns how many it looked at: fewer than the most were all.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.fields companions.lua
-- pieces: fragments
-- pieces: lists
-- pieces: composites
-- include: popoto.models ledger.lua
local now, most = take(), take()
take_companions()
keep_ledger()
return reap(KEYS[2], KEYS[3], KEYS[1], now, most)
