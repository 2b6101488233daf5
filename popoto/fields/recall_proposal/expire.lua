-- Takes proposals out of a pending set that are older than a moment, a bounded number.
-- KEYS: 1 the pending set. ARGV: the moment in Unix seconds; how many at most; the partition; what the keys of rows' own
--   sets begin with.
-- Returns their members; fewer than the most were all.
-- include: popoto.fields.recall_proposal pending.lua
return stale_members(KEYS[1], ARGV[4], ARGV[3], ARGV[1], ARGV[2])
