-- What has changed among a field's vectors since a version: some of it, in the order of versions.
-- KEYS: 1 the hash of vectors; 2 their versions; 3 their meta; 4 the rows that have a vector no more.
-- ARGV: the epoch and version that are known ('' and 0 for none); how many bytes of vectors to return, about; 1 to
--   return vectors, 0 for the keys alone.
-- Returns epoch ('' when there are no vectors), the version from which this goes on (0 when all is told anew), the
--   version up to which it goes, the newest version, provider, model, dim, how many vectors there are, keys, vectors,
--   and keys that have none any more.
local meta = redis.call('HMGET', KEYS[3], 'epoch', 'version', 'floor', 'provider', 'model', 'dim')
if not meta[1] then
  return {'', '0', '0', '0', '', '', '0', '0', {}, {}, {}}
end
local known = ARGV[2]
if meta[1] ~= ARGV[1] or tonumber(known) < tonumber(meta[3]) then
  known = '0'
end
-- 1 000: unpack() overflows near 8 000.
local most = math.max(1, math.min(1000, math.floor(tonumber(ARGV[3]) / (4 * tonumber(meta[6]) + 16))))
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. known, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local keys = {}
for place = 1, #found, 2 do
  keys[#keys + 1] = found[place]
end
local upto = #keys < most and meta[2] or found[#found]
local vectors = ARGV[4] == '1' and #keys > 0 and redis.call('HMGET', KEYS[1], unpack(keys)) or {}
local gone = known ~= '0' and redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. known, upto) or {}
return {
  meta[1], known, upto, meta[2], meta[4], meta[5], meta[6], redis.call('ZCARD', KEYS[2]), keys, vectors, gone,
}
