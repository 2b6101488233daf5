-- Brings one node's edges up to date: an edge set of popoto 1.6 gets its new name, or is merged by the larger weight with
-- the one that is there, and sources are told of edges that lead one way.
-- KEYS: 1 the node's edge set. ARGV: what the keys of edge sets, of sources and of edge sets of 1.6 begin with; the most
--   edges of a node; 1 for a symmetric graph; the node.
-- Returns 1.
-- include: popoto.fields.co_occurrence_field edges.lua
local graph = {edges = ARGV[1], sources = ARGV[2], older = ARGV[3], most = tonumber(ARGV[4]), symmetric = ARGV[5] == '1'}
local pk = ARGV[6]
local key, older = edges.key(graph, pk), graph.older .. pk
local found = redis.call('ZREVRANGE', older, 0, graph.most - 1, 'WITHSCORES')
for place = 1, #found, 2 do
  edges.raised(graph, pk, found[place], found[place + 1])
end
redis.call('DEL', older)
-- 1.6 could link a node with itself.
edges.removed(graph, pk, pk)
for _, other in ipairs(redis.call('ZREVRANGE', key, 0, MOST_TOUCHED - 1)) do
  if redis.call('ZSCORE', edges.key(graph, other), pk) then
    redis.call('SREM', graph.sources .. other, pk)
    redis.call('SREM', graph.sources .. pk, other)
  else
    redis.call('SADD', graph.sources .. other, pk)
  end
end
edges.pruned(graph, pk)
return 1
