-- A co-occurrence graph beside its rows: the edges of a row's key go and move with the row.
-- Stores, all of kind F: edges, sources, older. Settled: the first store's key without the store's prefix; the most edges
-- of a node; 1 for a symmetric graph.
-- include: popoto.fields.co_occurrence_field edges.lua
companion_kinds.edges = {}

-- Nodes are named by keys without the store's prefix.
function companion_kinds.edges.opened(one)
  local graph = {
    edges = one.stores[1].before .. ':', sources = one.stores[2].before .. ':', older = one.stores[3].before .. ':',
    most = tonumber(one.settled[2]), symmetric = one.settled[3] == '1',
  }
  local skipped = #one.stores[1].before - #one.settled[1]
  return graph, skipped
end

function companion_kinds.edges.drop(one, key, place)
  local graph, skipped = companion_kinds.edges.opened(one)
  edges.gone(graph, string.sub(key, skipped + 1))
end

function companion_kinds.edges.move(one, from_key, to_key, from, to)
  if from_key ~= to_key then
    local graph, skipped = companion_kinds.edges.opened(one)
    edges.moved(graph, string.sub(from_key, skipped + 1), string.sub(to_key, skipped + 1))
  end
end
