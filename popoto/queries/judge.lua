-- The judge of rows: asks the signals for their numbers, and no further about a row that can't be among the best.
-- A prelude: it needs signals, aggregate, boosts, least and started of the script, and hits.lua.
--
-- added(total, part)             a score with one more part
-- judge(members, order, scores)  offers the rows as hits; the order from which they were taken, if from one, and their
--   scores in it, spare looking these up
-- looked                         how much was looked up so far: rows, and each of their numbers
local looked = 0

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

-- The signals as they are asked: first that whose order is walked, then those that fell furthest below their bounds.
local function asked_in_turn(order)
  local asked = {}
  for number, signal in ipairs(signals) do
    asked[number] = signal
    signal.first = order and order.signal == signal
    signal.limit = started and (signal.bound() or -math.huge) or math.huge
  end
  table.sort(asked, function(one, other)
    if one.first or other.first then
      return one.first and not other.first
    elseif one.short ~= other.short then
      return one.short > other.short
    end
    return one.number < other.number
  end)
  return asked
end

-- The least total of the signals up to a turn with which a row may be among the best, whatever the other ones add; and
-- what counts as the total of a row without any.
local function needed(asked, turn, size, mark)
  local rest, most_of_all = 0, -math.huge
  for number = turn + 1, #asked do
    local limit = asked[number].limit
    rest, most_of_all = rest + math.max(limit, 0), math.max(most_of_all, limit)
  end
  if aggregate == 'MIN' then
    return mark, math.huge
  elseif aggregate == 'MAX' then
    return most_of_all < mark and mark or -math.huge, -math.huge
  end
  -- Parts are added in another order than those of a score: a hair less is enough.
  local enough = mark - rest - (size + rest + math.abs(mark)) * 1e-12
  return enough == enough and enough or -math.huge, 0
end

-- A signal's parts of the scores, and the largest; the totals take them in.
local function parts_of(signal, raw, totals, count)
  local weight, summing, parts = signal.weight, aggregate == 'SUM', {}
  local low, high, all = 0, 0, 0
  for place = 1, count do
    local part = raw[place]
    if part then
      part = weight * part
      if part ~= part then
        part = 0
      end
      local total = totals[place]
      if not total then
        total = part
      elseif summing then
        total = total + part
        if total ~= total then
          total = 0
        end
      else
        total = added(total, part)
      end
      parts[place], totals[place], all = part, total, all + part
      if part > high then
        high = part
      elseif part < low then
        low = part
      end
    end
  end
  local short = (signal.limit - all / count) / math.max(signal.cost, 1)
  signal.short = short > -math.huge and short < math.huge and short or 0
  return parts, math.max(high, -low)
end

-- The places before one that is left out.
local function upto(last)
  local places = {}
  for place = 1, last do
    places[place] = place
  end
  return places
end

-- The places of the rows that have enough, and were not met in the signal's own orders; nil for all.
local function places_left(parts, limit, totals, count, enough, none)
  local left, number = nil, 0
  for place = 1, count do
    local part = parts[place]
    if (totals[place] or none) < enough or (part and part > limit) then
      if not left then
        left, number = upto(place - 1), place - 1
      end
    elseif left then
      number = number + 1
      left[number] = place
    end
  end
  return left
end

local function picked(list, places)
  local found = {}
  for place, from in ipairs(places) do
    found[place] = list[from]
  end
  return found
end

-- Added up in the order in which the signals were given, so that a row has one score whichever way it was met.
local function total_of(place)
  local total
  for _, signal in ipairs(signals) do
    local part = signal.parts[place]
    if part then
      total = added(total, part)
    end
  end
  return total
end

local function judge(members, order, scores)
  local count, worst = #members, worst_hit()
  if count == 0 then
    return
  end
  looked = looked + count
  local mark = math.max(worst and worst.score or -math.huge, least or -math.huge)
  local asked, totals, size, straight, moments = asked_in_turn(order), {}, 0, true, nil
  for turn, signal in ipairs(asked) do
    local raw, times = signal.raw(members, order, scores)
    local parts, largest = parts_of(signal, raw, totals, count)
    looked = looked + count * (signal.first and signal.cost - 1 or signal.cost)
    signal.parts, moments, size = parts, moments or times, size + largest
    -- A sum of two is the same either way.
    straight = #asked < 3 or (straight and signal.number == turn)
    local places
    if started then
      local limit = signal.first and math.huge or signal.limit
      places = places_left(parts, limit, totals, count, needed(asked, turn, size, mark))
    end
    if places then
      count, members, totals = #places, picked(members, places), picked(totals, places)
      scores, moments = scores and picked(scores, places), moments and picked(moments, places)
      for number = 1, turn do
        asked[number].parts = picked(asked[number].parts, places)
      end
      if count == 0 then
        return
      end
    end
  end
  -- Where the last is better than the first, the other way round takes less.
  local first, last, step = 1, count, 1
  if (totals[count] or 0) > (totals[1] or 0) or (totals[count] == totals[1] and precedes(members[count], members[1])) then
    first, last, step = count, 1, -1
  end
  for place = first, last, step do
    local member = members[place]
    local total, boost = straight and totals[place] or total_of(place), boosts[member]
    if boost then
      total = added(total, boost)
    end
    if total and total >= mark and (by_moment or not worst or total > worst.score or precedes(member, worst.key)) then
      offer({key = member, score = total, moment = moments and moments[place] or 0})
      worst = worst_hit()
      mark = worst and math.max(worst.score, mark) or mark
    end
  end
end
