-- Takes a row out of one pending set, or out of all that it is in.
-- KEYS: 1 the row's own set of partitions. ARGV: what the keys of pending sets begin with; the row's key; the partition,
--   '' for all.
-- Returns from how many it was taken.
-- include: popoto.fields.recall_proposal pending.lua
return unproposed(ARGV[1], KEYS[1], ARGV[2], ARGV[3] ~= '' and ARGV[3] or nil)
