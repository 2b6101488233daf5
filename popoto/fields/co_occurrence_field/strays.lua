-- Finds, and when asked removes, what a graph keeps for rows that are gone.
-- KEYS: 1 any edge set. ARGV: 1 to remove; what the keys of edge sets, of sources and of edge sets of 1.6 begin with; what
--   stands before every key of the model; the nodes, each named as a row's key.
-- Returns the nodes that have edges and no row; a node with more edges than one script touches needs another call.
-- include: popoto.fields.co_occurrence_field edges.lua
local removing, prefix = ARGV[1] == '1', ARGV[5]
local graph = {edges = ARGV[2], sources = ARGV[3], older = ARGV[4]}
local strays = {}
for place = 6, #ARGV do
  local pk = ARGV[place]
  if redis.call('EXISTS', prefix .. pk) == 0
    and redis.call('EXISTS', graph.edges .. pk, graph.sources .. pk, graph.older .. pk) > 0 then
    strays[#strays + 1] = pk
    if removing then
      edges.gone(graph, pk)
    end
  end
end
return strays
