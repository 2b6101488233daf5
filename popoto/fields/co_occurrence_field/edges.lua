-- Edges: a node's heaviest links as a sorted set, and, apart, who points at it without being pointed at.
-- A prelude. A graph is a table: edges, sources and older (what a node's keys begin with: its edge set, its sources, and
-- the edge set as popoto 1.6 named it), symmetric, most (edges of a node).
-- A node's sources hold another exactly when that one points here and this one does not point back: edges both ways,
-- which are all of a symmetric graph, cost nothing more.
--
-- edges.key(graph, pk)                  the key of a node's edge set; one of 1.6 gets its new name first
-- edges.raised(graph, from, to, weight) an edge of at least this weight
-- edges.removed(graph, from, to)        1 when there was such an edge
-- edges.pruned(graph, pk, kept)         the lightest edges beyond the most go, but for the one to `kept`
-- edges.gone(graph, pk)                 a node goes, with its edges and those that point at it
-- edges.moved(graph, from, to)          a node gets another name
local edges = {}
-- More than these, out of a node or towards it, are not touched by one script: 5 000 take about 15 ms.
local MOST_TOUCHED = 5000
local MOST_PRUNED = 1000

function edges.key(graph, pk)
  local key = graph.edges .. pk
  if redis.call('EXISTS', key) == 0 and redis.call('EXISTS', graph.older .. pk) == 1 then
    redis.call('RENAME', graph.older .. pk, key)
  end
  return key
end

function edges.placed(graph, from, to, weight)
  redis.call('ZADD', edges.key(graph, from), weight, to)
  if redis.call('ZSCORE', edges.key(graph, to), from) then
    redis.call('SREM', graph.sources .. from, to)
  else
    redis.call('SADD', graph.sources .. to, from)
  end
end

function edges.raised(graph, from, to, weight)
  local known = redis.call('ZSCORE', edges.key(graph, from), to)
  if not known then
    edges.placed(graph, from, to, weight)
  elseif tonumber(known) < tonumber(weight) then
    redis.call('ZADD', edges.key(graph, from), weight, to)
  end
end

function edges.removed(graph, from, to)
  if redis.call('ZREM', edges.key(graph, from), to) == 0 then
    return 0
  end
  redis.call('SREM', graph.sources .. to, from)
  if redis.call('ZSCORE', edges.key(graph, to), from) then
    redis.call('SADD', graph.sources .. from, to)
  end
  return 1
end

function edges.pruned(graph, pk, kept)
  local key = edges.key(graph, pk)
  local excess = math.min(redis.call('ZCARD', key) - graph.most, MOST_PRUNED)
  if excess <= 0 then
    return
  end
  for _, other in ipairs(redis.call('ZRANGE', key, 0, excess)) do
    if other ~= kept and excess > 0 then
      excess = excess - 1
      edges.removed(graph, pk, other)
      if graph.symmetric then
        edges.removed(graph, other, pk)
      end
    end
  end
end

function edges.gone(graph, pk)
  local key, sources = edges.key(graph, pk), graph.sources .. pk
  local others = redis.call('ZREVRANGE', key, 0, MOST_TOUCHED - 1)
  for _, other in ipairs(others) do
    if redis.call('ZREM', edges.key(graph, other), pk) == 0 then
      redis.call('SREM', graph.sources .. other, pk)
    end
  end
  redis.call('ZREMRANGEBYRANK', key, -MOST_TOUCHED, -1)
  for _, other in ipairs(redis.call('SRANDMEMBER', sources, MOST_TOUCHED)) do
    redis.call('ZREM', edges.key(graph, other), pk)
    redis.call('SREM', sources, other)
  end
  redis.call('DEL', graph.older .. pk)
end

local function renamed_in(key, from, to)
  local weight = redis.call('ZSCORE', key, from)
  if weight then
    redis.call('ZREM', key, from)
    redis.call('ZADD', key, weight, to)
  end
  return weight
end

-- The usual case: nothing is known of the new name yet.
local function renamed(graph, from, to)
  local own, sources = edges.key(graph, from), graph.sources .. from
  for _, other in ipairs(redis.call('ZRANGE', own, 0, -1)) do
    if not renamed_in(edges.key(graph, other), from, to) then
      redis.call('SREM', graph.sources .. other, from)
      redis.call('SADD', graph.sources .. other, to)
    end
  end
  for _, other in ipairs(redis.call('SMEMBERS', sources)) do
    renamed_in(edges.key(graph, other), from, to)
  end
  if redis.call('EXISTS', own) == 1 then
    redis.call('RENAME', own, graph.edges .. to)
  end
  if redis.call('EXISTS', sources) == 1 then
    redis.call('RENAME', sources, graph.sources .. to)
  end
end

function edges.moved(graph, from, to)
  local own, sources = edges.key(graph, from), graph.sources .. from
  if redis.call('EXISTS', edges.key(graph, to), graph.sources .. to) == 0
    and redis.call('ZCARD', own) <= MOST_TOUCHED and redis.call('SCARD', sources) <= MOST_TOUCHED then
    return renamed(graph, from, to)
  end
  local heaviest = redis.call('ZREVRANGE', own, 0, MOST_TOUCHED - 1, 'WITHSCORES')
  for place = 1, #heaviest, 2 do
    local other, weight = heaviest[place], heaviest[place + 1]
    edges.removed(graph, from, other)
    if other ~= to and other ~= from then
      edges.raised(graph, to, other, weight)
    end
  end
  -- An edge back has become one of the sources.
  for _, other in ipairs(redis.call('SRANDMEMBER', sources, MOST_TOUCHED)) do
    local weight = redis.call('ZSCORE', edges.key(graph, other), from)
    edges.removed(graph, other, from)
    redis.call('SREM', sources, other)
    if weight and other ~= to and other ~= from then
      edges.raised(graph, other, to, weight)
    end
  end
  edges.pruned(graph, to)
end
