-- Finds the rows whose weighted signals add up to most, among those that satisfy a tree of sources.
-- It walks the signals' orders from their best ends and stops as soon as no unseen row can be among the best
-- (Fagin, Lotem and Naor, Optimal aggregation algorithms for middleware, 2003). Where that takes longer, and of few
-- candidates, every row is looked at once.
-- KEYS: 1 the class set; then, in order, the sources' keys, the signals' and those beside them.
-- ARGV: the members of a first step and of a later one at most; the present in Unix seconds; the tree of sources and
--   the schema as sources.lua reads them; the signals as signals.lua reads them; SUM, MIN or MAX; 1 when of equal scores the later moment comes first, before the lower key;
--   rows to return; numbers to look up; how many candidates are few; the least score, or '';
--   number of boosted rows, and of each key and boost;
--   the hit after which to begin and the worst hit that still counts, each as 0, or 1 and score, moment and key;
--   the cursor to go on from, or ''; 1 for the parts of each score; number of fields to load, and of each name.
-- Returns the cursor to go on from, '' at the end, `wide` when a lookup through a relationship is about too many rows;
--   the hits as {key, score, moment}, the best first; the parts: each hit's number of every signal, '' for none; and the
--   hits' rows, unless there is more to look at.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.queries texts.lua
-- include: popoto.queries sources.lua
-- include: popoto.queries judging.lua
-- include: popoto.queries rows.lua
-- include: popoto.queries orders.lua
-- include: popoto.queries signals.lua
-- pieces: kinds
local MANY = 10000
local root = take_source()
if not index_sources(take_schema()) then
  return {'wide', {}, {}, {}}
end
local signals = take_signals()
local rows_of_all = redis.call('SCARD', KEYS[1])
for _, signal in ipairs(signals) do
  signal.covers = #signal.keys == 1 and redis.call('ZCARD', signal.keys[1]) == rows_of_all
end
local aggregate, by_moment, most = take(), take() == '1', tonumber(take())
local budget, few = tonumber(take()), tonumber(take())
local least = to_number(take())
local boosts, boosted = {}, {}
for number = 1, tonumber(take()) do
  boosted[number] = take()
  boosts[boosted[number]] = to_number(take())
end

local function take_hit()
  if take() == '1' then
    return {score = to_number(take()), moment = to_number(take()), key = take()}
  end
end

local after, floor = take_hit(), take_hit()
local cursors, explaining, names = take(), take() == '1', take_names()

local way, resumed, walked = string.match(cursors, '^(%S+) ([^\n]*)\n(.*)$')
local started = false
-- include: popoto.queries hits.lua
-- include: popoto.queries judge.lua
-- include: popoto.queries threshold.lua

-- The way: `walk` until the best are certain; where that is in vain, `sources` for all that these have, or the number of
-- an order to walk to its end, 0 for all orders.
local walks, size = {}, rows_of_all
if has_sources(root) then
  walks, size = driver(root)
  walks = walked_before(walked or '') or walks
end
-- A walk of named rows can't be left and gone on with.
local narrow = size < rows_of_all and (size <= MANY or walks[1].kind ~= 'K')
local walking = new_walk(walks, walked or '', CHUNK)
local orders = {}
for _, signal in ipairs(signals) do
  for place, order in ipairs(signal.orders) do
    order.signal, order.whole = signal, place <= #signal.keys
    orders[#orders + 1] = order
  end
end

-- The members that are new, with their scores in an order.
local seen = {}
local function unseen(members, scores)
  -- One order that is walked to its end brings no row twice.
  local once = way ~= 'walk' or #orders == 1
  if once and next(seen) == nil then
    return members, scores
  end
  local places
  for place, member in ipairs(members) do
    if not seen[member] then
      seen[member] = not once or nil
      if places then
        places[#places + 1] = place
      end
    elseif not places then
      places = upto(place - 1)
    end
  end
  if places then
    return picked(members, places), scores and picked(scores, places)
  end
  return members, scores
end

-- Those that satisfy the sources.
local function admitted(members, scores)
  if #members == 0 or not has_sources(root) then
    return members, scores
  end
  local good, places = flags(members, root), {}
  looked = looked + #members
  for place = 1, #members do
    if good[place] then
      places[#places + 1] = place
    end
  end
  return picked(members, places), scores and picked(scores, places)
end

local function in_chunks(members, work)
  for first = 1, #members, CHUNK do
    work({unpack(members, first, math.min(first + CHUNK - 1, #members))})
  end
end

local function advance(order)
  local found, scores = next_members(order)
  looked = looked + #found
  local members, known = admitted(unseen(found, scores))
  judge(members, order, known)
  return #found
end

-- Begins, or goes on where the script before stopped; began anew where the orders are others since.
local function start()
  local words = {}
  for word in string.gmatch(resumed or '', '%S+') do
    words[#words + 1] = word
  end
  if #words ~= #orders and way ~= 'sources' then
    way = 'walk'
  end
  local begun = true
  for number, order in ipairs(orders) do
    if #words == #orders then
      resume(order, words[number])
    elseif way == 'walk' then
      advance(order)
    end
    begun = begun and (order.ended or order.frontier ~= nil)
  end
  started = begun
end

-- The number of the order which has all rows and lowers the bound most; 0 where none has all.
local function whole_order()
  local chosen = 0
  for number, order in ipairs(orders) do
    if order.whole and order.signal.covers and (chosen == 0 or (order.drop or 0) > (orders[chosen].drop or 0)) then
      chosen = number
    end
  end
  return string.format('%d', chosen)
end

-- The other ways take all numbers of all rows: before half as many were looked up, the walk goes on whatever comes.
local function walk()
  local each = 2
  for _, signal in ipairs(signals) do
    each = each + signal.cost
  end
  local patience = math.min(budget, size * each / 2)
  while not settled() do
    if looked + tested >= patience and in_vain(size) then
      way = narrow and 'sources' or whole_order()
      return false
    elseif looked + tested >= budget then
      return false
    end
    local order = next_order()
    if not order then
      return true
    end
    local reach = bound()
    local count = advance(order)
    local left = bound()
    order.drop = left and reach < math.huge and (reach - left) / math.max(count, 1) or 0
  end
  return true
end

local function walk_whole()
  for number, order in ipairs(orders) do
    while (way == '0' and order.whole or tonumber(way) == number) and not order.ended do
      if settled() then
        return true
      elseif looked + tested >= budget then
        return false
      end
      advance(order)
    end
  end
  return true
end

local function walk_sources()
  while walking.number <= #walks do
    if looked + tested >= budget then
      return false
    end
    local leaf = walks[walking.number]
    local members, cost = next_chunk(walking)
    looked = looked + cost + #members
    in_chunks(filtered(root, leaf, members), judge)
  end
  return true
end

local function unbounded()
  for _, signal in ipairs(signals) do
    if not signal.bounded then
      return true
    end
  end
end

if cursors == '' then
  in_chunks(boosted, function(members)
    judge((admitted(unseen(members))))
  end)
end
if not way and narrow and size <= few then
  way = 'sources'
else
  start()
  if unbounded() and way == 'walk' then
    way = narrow and 'sources' or whole_order()
  end
end
local done = way == 'walk' and walk()
if not done and way == 'sources' then
  done = walk_sources()
elseif not done and way ~= 'walk' then
  done = walk_whole()
end

local onward = ''
if not done then
  local words = {}
  for number, order in ipairs(orders) do
    words[number] = order_cursor(order)
  end
  onward = way .. ' ' .. table.concat(words, ' ') .. '\n' .. (way == 'sources' and cursor_of(walking) or '')
end

local function text_of_number(number)
  return number and string.format('%.17g', number) or ''
end

local hits, keys, parts, rows = {}, {}, {}, {}
for place, hit in ipairs(best) do
  hits[place] = {hit.key, text_of_number(hit.score), text_of_number(hit.moment)}
  keys[place], parts[place] = hit.key, {}
end
if explaining then
  for first = 1, #keys, CHUNK do
    local some = {unpack(keys, first, math.min(first + CHUNK - 1, #keys))}
    for number, signal in ipairs(signals) do
      local raw = signal.raw(some)
      for place = 1, #some do
        parts[first + place - 1][number] = text_of_number(raw[place])
      end
    end
  end
end
if done and cursors == '' then
  for place, key in ipairs(keys) do
    rows[place] = row_values(key, names, key) or {key}
    table.remove(rows[place], 1)
  end
end
return {onward, hits, parts, rows}
