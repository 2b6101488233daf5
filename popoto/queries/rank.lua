-- Finds the rows whose weighted signals add up to most, among those that satisfy a tree of sources.
-- It walks the signals' orders from their best ends and stops as soon as no unseen row can be among the best
-- (Fagin, Lotem and Naor, Optimal aggregation algorithms for middleware, 2003). Few candidates are all looked at.
-- KEYS: 1 the class set; then, in order, the sources' keys, the signals' and those beside them.
-- ARGV: the members of a first step and of a later one at most; the present in Unix seconds; the tree of sources and
--   the schema as sources.lua reads them; the signals as signals.lua reads them; SUM, MIN or MAX; 1 when of equal scores the later moment comes first, before the lower key;
--   rows to return; members to look at; how many candidates are few; the least score, or '';
--   number of boosted rows, and of each key and boost;
--   the hit after which to begin and the worst hit that still counts, each as 0, or 1 and score, moment and key;
--   the cursors of the orders, or ''; 1 for the parts of each score; number of fields to load, and of each name.
-- Returns the cursors to go on from, '' at the end, `wide` when a lookup through a relationship is about too many rows;
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

local best, seen, looked = {}, {}, 0

local function comes_before(one, other)
  if one.score ~= other.score then
    return one.score > other.score
  elseif by_moment and one.moment ~= other.moment then
    return one.moment > other.moment
  end
  return one.key < other.key
end

-- The worst hit that counts; nil while any does.
local function worst_hit()
  local last = best[most]
  return floor and (not last or comes_before(floor, last)) and floor or last
end

local function offer(hit)
  local worst = worst_hit()
  if (least and hit.score < least) or (worst and not comes_before(hit, worst)) or (after and not comes_before(after, hit))
  then
    return
  end
  -- What has expired, or is no row of the model, takes nobody's place.
  if redis.call('SISMEMBER', KEYS[1], hit.key) == 0 or redis.call('EXISTS', hit.key) == 0 then
    return
  end
  local low, high = 1, #best + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if comes_before(hit, best[middle]) then
      high = middle
    else
      low = middle + 1
    end
  end
  table.insert(best, low, hit)
  best[most + 1] = nil
end

local function added(total, part)
  if not total then
    return part
  elseif aggregate == 'SUM' then
    local sum = total + part
    return sum == sum and sum or 0
  elseif aggregate == 'MIN' then
    return math.min(total, part)
  end
  return math.max(total, part)
end

-- The members that are new and satisfy the sources, with their scores in the order that is walked, if one is.
local function admitted(members, scores)
  local fresh, known = {}, scores and {}
  local count = 0
  for place = 1, #members do
    local member = members[place]
    if not seen[member] then
      count = count + 1
      seen[member], fresh[count] = true, member
      if known then
        known[count] = scores[place]
      end
    end
  end
  looked = looked + #members
  if count == 0 or not has_sources(root) then
    return fresh, known
  end
  local good, kept, kept_known = flags(fresh, root), {}, known and {}
  for place, member in ipairs(fresh) do
    if good[place] then
      kept[#kept + 1] = member
      if known then
        kept_known[#kept] = known[place]
      end
    end
  end
  return kept, kept_known
end

local function judge(members, order, scores)
  local fresh, known = admitted(members, scores)
  local count = #fresh
  if count == 0 then
    return
  end
  local totals, moments = {}, nil
  for _, signal in ipairs(signals) do
    local raw, times = signal.raw(fresh, order, known)
    local weight = signal.weight
    moments = moments or times
    for place = 1, count do
      local number = raw[place]
      if number then
        totals[place] = added(totals[place], product(weight, number))
      end
    end
  end
  local worst = worst_hit()
  local mark = worst and worst.score or -math.huge
  for place = 1, count do
    local member, total = fresh[place], totals[place]
    if boosts[member] then
      total = added(total, boosts[member])
    end
    if total and total >= mark then
      offer({key = member, score = total, moment = moments and moments[place] or 0})
      worst = worst_hit()
      mark = worst and worst.score or mark
    end
  end
end

local function judge_all(members)
  for first = 1, #members, CHUNK do
    judge({unpack(members, first, math.min(first + CHUNK - 1, #members))})
  end
end

-- The members of the sources; nil where they are too many to look at all of them.
local function candidates(walks)
  local spent = 0
  local members, walking = {}, new_walk(walks, '', CHUNK)
  while walking.number <= #walks do
    local some, cost = next_chunk(walking)
    for _, member in ipairs(some) do
      members[#members + 1] = member
    end
    spent = spent + cost
    -- The size of some sources is a guess.
    if #members + spent > 2 * MANY then
      return nil
    end
  end
  return members
end

-- The most that an unseen row may have; nil when all were seen. Added up as scores are, so that rounding is the same.
-- Where as many rows have a signal as there are, every row has it: when it is at its end all were seen.
local function bound()
  local total, highest, least_of_all
  for _, signal in ipairs(signals) do
    local part = signal.bound()
    if signal.covers then
      if not part then
        return nil
      end
      least_of_all = math.min(least_of_all or part, part)
    end
    if part then
      highest = math.max(highest or part, part)
      if part > 0 then
        total = (total or 0) + part
      end
    end
  end
  if aggregate == 'MIN' and least_of_all then
    return least_of_all
  end
  return aggregate == 'SUM' and total or highest
end

-- Of unseen rows that have just the worst hit's score, whether all come after it.
local function ties_lose(worst)
  if by_moment then
    local order = signals[1].orders[1]
    return #signals[1].keys == 1 and order.down
      and not comes_before({score = worst.score, moment = order.frontier, key = order.last_key or ''}, worst)
  end
  local any, all, covered = false, true, false
  for _, signal in ipairs(signals) do
    local part = signal.bound()
    -- Where the weight is 0, all add the same, wherever they come in the order.
    local edge = signal.weight ~= 0 and signal.edge()
    local loses = edge and worst.key <= edge
    if aggregate == 'SUM' then
      any = any or (part and part > 0 and loses)
    elseif aggregate == 'MIN' and signal.covers then
      covered = true
      any = any or (part and part == worst.score and loses)
    elseif part and part >= worst.score then
      all = all and loses
    end
  end
  if aggregate == 'SUM' or covered then
    return any
  end
  return all
end

local function settled()
  local reach, worst = bound(), worst_hit()
  if not reach or (least and reach < least) then
    return true
  elseif not worst or reach > worst.score then
    return false
  end
  return reach < worst.score or ties_lose(worst)
end

-- The order to go on with: while a bound says nothing, that which must be seen whole, else that whose last members
-- lowered the bound most; now and then any, as a slow beginning may be followed by a steep end.
local turn = 0
local function next_order()
  turn = turn + 1
  local chosen, places = nil, 0
  local live = {}
  for _, signal in ipairs(signals) do
    if signal.bound() then
      live[#live + 1] = signal
    end
  end
  for _, signal in ipairs(live) do
    for place, order in ipairs(signal.orders) do
      if not order.ended then
        if not signal.bounded then
          if place <= #signal.keys then
            return order
          end
        else
          places = places + 1
          if not chosen or (order.drop or math.huge) > (chosen.drop or math.huge) then
            chosen = order
          end
        end
      end
    end
  end
  if turn % 8 == 0 and places > 1 then
    local skip = (turn / 8) % places
    for _, signal in ipairs(live) do
      for _, order in ipairs(signal.orders) do
        if not order.ended and signal.bounded then
          if skip == 0 then
            return order
          end
          skip = skip - 1
        end
      end
    end
  end
  return chosen
end

local function walk(patience)
  local number = 0
  local words = {}
  for word in string.gmatch(cursors, '%S+') do
    words[#words + 1] = word
  end
  for _, signal in ipairs(signals) do
    for _, order in ipairs(signal.orders) do
      number = number + 1
      if words[number] then
        resume(order, words[number])
      elseif not order.frontier and not order.ended then
        local members, scores = next_members(order)
        judge(members, order, scores)
      end
    end
  end
  while not settled() do
    if looked >= patience then
      return false
    end
    local order = next_order()
    if not order then
      return true
    end
    local reach = bound()
    local members, scores = next_members(order)
    judge(members, order, scores)
    local left = bound()
    order.drop = left and reach < math.huge and (reach - left) / math.max(#members, 1) or 0
  end
  return true
end

-- Few candidates are all looked at; of more, when as many rows were met on the way to the best in vain.
local walks, size = {}, math.huge
if has_sources(root) then
  walks, size = driver(root)
end
if cursors == '' then
  judge_all(boosted)
end
local done = size > few and walk(size <= MANY and math.min(size, budget) or budget)
if not done and size <= MANY then
  local members = candidates(walks)
  judge_all(members or {})
  done = members or walk(budget)
end

local onward = {}
if not done then
  for _, signal in ipairs(signals) do
    for _, order in ipairs(signal.orders) do
      onward[#onward + 1] = order_cursor(order)
    end
  end
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
return {table.concat(onward, ' '), hits, parts, rows}
