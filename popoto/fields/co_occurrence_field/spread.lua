-- Follows edges from some nodes, level by level and the heaviest first, and finds the heaviest walk to each node.
-- KEYS: 1 any edge set. ARGV: what the keys of edge sets and of those of 1.6 begin with; the factor of each hop; the
--   smallest weight; how many levels; how many nodes to find, 0 for all; how many edges to look at; the most edges of a
--   node; number of nodes to begin with, and of each name and weight.
-- Returns 1 when the edges ran out; 1 when more nodes were reached than were to be found; edges looked at; how many of the
--   first nodes were followed to their ends; then of each node found, the heaviest first, name and weight.
-- include: popoto.fields byte_order.lua
local edge_keys, older_keys = ARGV[1], ARGV[2]
local hop, least, depth, wanted = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local budget, most = tonumber(ARGV[7]), tonumber(ARGV[8])
-- Finding a node's edges costs about as much as looking at this many.
local LOOKING = 2
-- Weights are counted in classes of 3 %, so that it is known when enough nodes are heavier than what is still to come.
local CLASSES = 32
local best, begun, names = {}, {}, {}
for place = 10, 9 + 2 * tonumber(ARGV[9]), 2 do
  local name = ARGV[place]
  best[name], begun[name], names[#names + 1] = tonumber(ARGV[place + 1]), tonumber(ARGV[place + 1]), name
end
local spent, cut, followed = 0, false, 0
local counts, held, lightest, over = {}, 0, 0, false

local function class_of(weight)
  return math.floor(-CLASSES * math.log(weight))
end

-- Raises `least` once more nodes are known than are wanted: weights only fall along a walk, so that what is lighter than
-- so many nodes need not be followed. Classes beyond the lightest are counted no more.
local function count(weight, former)
  local class, old = class_of(weight), former and class_of(former)
  if old and old <= lightest then
    counts[old], held = counts[old] - 1, held - 1
  end
  if not over and class > lightest then
    lightest = class
  end
  if class <= lightest then
    counts[class], held = (counts[class] or 0) + 1, held + 1
  end
  if held <= wanted then
    return
  end
  over = true
  while held - (counts[lightest] or 0) >= wanted do
    held, lightest = held - (counts[lightest] or 0), lightest - 1
  end
  -- Just below the class, so that no rounding takes a node out of it.
  least = math.max(least, math.exp(-(lightest + 1) / CLASSES) * (1 - 1e-9))
end

local function heavier(one, other)
  if best[one] == best[other] then
    return precedes(one, other)
  end
  return best[one] > best[other]
end

-- Only the edges that are heavy enough: the set has them in order.
local function edges_of(name, weight, room)
  local lower = '(0'
  if least > 0 then
    lower = string.format('%.17g', least / (weight * hop) * (1 - 1e-12))
  end
  local found = redis.call('ZREVRANGEBYSCORE', edge_keys .. name, '+inf', lower, 'WITHSCORES', 'LIMIT', 0, room)
  if #found == 0 then
    found = redis.call('ZREVRANGEBYSCORE', older_keys .. name, '+inf', lower, 'WITHSCORES', 'LIMIT', 0, room)
  end
  return found
end

local function follow(found, weight, reached, improved)
  for place = 1, #found, 2 do
    local factor = hop * tonumber(found[place + 1])
    -- No edge, however heavy, makes anything heavier than what leads to it.
    local new = factor < 1 and weight * factor or weight
    if new < least or not (factor > 0 and new > 0) then
      return
    end
    local name = found[place]
    local known = best[name]
    if not known or new > known then
      best[name] = new
      if not improved[name] then
        improved[name], reached[#reached + 1] = true, name
      end
      if wanted > 0 then
        count(new, known)
      end
    end
  end
end

for level = 1, depth do
  table.sort(names, heavier)
  -- A node may become heavier while its level is followed: by a walk that is too long for this level.
  local weights, reached, improved = {}, {}, {}
  for place, name in ipairs(names) do
    weights[place] = best[name]
  end
  for place, name in ipairs(names) do
    if weights[place] < least then
      break
    end
    local room = math.min(most, budget - spent)
    if room <= 0 then
      cut = true
      break
    end
    local found = edges_of(name, weights[place], room)
    follow(found, weights[place], reached, improved)
    spent = spent + LOOKING + #found / 2
    if room < most and #found / 2 == room then
      cut = true
      break
    end
    followed = level == 1 and place or followed
  end
  names = {}
  for _, name in ipairs(reached) do
    if best[name] >= least then
      names[#names + 1] = name
    end
  end
  if cut or #names == 0 then
    break
  end
end

local found = {}
for name, weight in pairs(best) do
  if weight >= least and weight ~= begun[name] then
    found[#found + 1] = name
  end
end
table.sort(found, heavier)
local replies = {cut and 1 or 0, over and 1 or 0, spent, followed}
for place = 1, wanted > 0 and math.min(wanted, #found) or #found do
  replies[#replies + 1] = found[place]
  replies[#replies + 1] = string.format('%.17g', best[found[place]])
end
return replies
