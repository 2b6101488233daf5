-- Stages a read of each of some rows that are stored.
-- KEYS: 1 the first of the rows, which tells the slot of all. ARGV: the moment in Unix seconds; how many
--   moments are kept; what the keys of staged lists and of hashes begin with; the rows' keys.
-- Returns how many rows are stored.
-- include: popoto.fields.access_tracker staging.lua
local count = 0
for place = 5, #ARGV do
  local row = ARGV[place]
  local left = redis.call('PTTL', row)
  if left ~= -2 then
    local staged = ARGV[3] .. ':' .. row
    stage_read(staged, ARGV[4] .. ':' .. row, ARGV[1], tonumber(ARGV[2]))
    if left > 0 then
      redis.call('PEXPIRE', staged, left)
    end
    count = count + 1
  end
end
return count
