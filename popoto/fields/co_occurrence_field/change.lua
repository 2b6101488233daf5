-- Changes the edges of one node, or those between two, in both directions where the graph is symmetric.
-- KEYS: 1 the edge set of the first node, 2 that of the second, when there is one.
-- ARGV: link, strengthen, unlink or weaken; what the keys of edge sets, of sources and of edge sets of 1.6 begin with;
--   the most edges of a node; 1 for a symmetric graph; the first node; the second, or nothing; the initial weight, what
--   to add, or the factor; the largest weight, or below which weight an edge is removed.
-- Returns the weight of the edge from the first node to the second; of unlink and weaken how many edges were removed.
-- include: popoto.fields.co_occurrence_field edges.lua
local verb, first, second = ARGV[1], ARGV[7], ARGV[8]
local graph = {edges = ARGV[2], sources = ARGV[3], older = ARGV[4], most = tonumber(ARGV[5]), symmetric = ARGV[6] == '1'}
local amount, bound = tonumber(ARGV[9]), tonumber(ARGV[10])
-- A key of the wrong type is found here, before the first write.
for _, key in ipairs(KEYS) do
  redis.call('ZCARD', key)
end

local function linked(from, to)
  local weight = redis.call('ZSCORE', edges.key(graph, from), to)
  if not weight then
    weight = string.format('%.17g', amount)
    edges.placed(graph, from, to, weight)
    edges.pruned(graph, from, to)
  end
  return string.format('%.17g', tonumber(weight))
end

local function strengthened(from, to)
  local key = edges.key(graph, from)
  local known = redis.call('ZSCORE', key, to)
  local weight = string.format('%.17g', math.min((tonumber(known or '0')) + amount, bound))
  if known then
    redis.call('ZADD', key, weight, to)
  else
    edges.placed(graph, from, to, weight)
  end
  edges.pruned(graph, from, to)
  return weight
end

local function unlinked(from, to)
  return edges.removed(graph, from, to)
end

local function weakened(pk)
  edges.pruned(graph, pk)
  local key = edges.key(graph, pk)
  local found = redis.call('ZREVRANGE', key, 0, graph.most - 1, 'WITHSCORES')
  local removed = 0
  for place = 1, #found, 2 do
    local weight = tonumber(found[place + 1]) * amount
    if weight < bound then
      removed = removed + edges.removed(graph, pk, found[place])
    else
      redis.call('ZADD', key, string.format('%.17g', weight), found[place])
    end
  end
  return removed
end

if verb == 'weaken' then
  return weakened(first)
end
local change = ({link = linked, strengthen = strengthened, unlink = unlinked})[verb]
local reply = change(first, second)
if graph.symmetric then
  local mirrored = change(second, first)
  if verb == 'unlink' then
    return reply + mirrored
  end
end
return reply
