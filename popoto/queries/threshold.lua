-- The threshold of a walk: what the rows may have that were not met yet, and which order to go on with.
-- A prelude: it needs signals, least and added() of the script and hits.lua.
--
-- bound()        the most that an unseen row may have; nil when all were seen
-- settled()      whether no unseen row is among the best
-- in_vain(size)  whether the walk is likely to take more than so many members
-- next_order()   the order to go on with; nil when all are at their ends

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
    local loses = edge and not precedes(edge, worst.key)
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

-- The rest of the walk, if its steepest order goes on as steeply. Where a bound says nothing there is no telling.
local function in_vain(size)
  local worst, steepest = worst_hit(), 0
  for _, signal in ipairs(signals) do
    for _, order in ipairs(signal.orders) do
      steepest = math.max(steepest, not order.ended and order.drop or 0)
    end
  end
  local goal = math.max(worst and worst.score or -math.huge, least or -math.huge)
  return not ((bound() - goal) / steepest <= size)
end

-- The order to go on with: that whose last members lowered the bound most; now and then any, as a slow beginning may be
-- followed by a steep end.
local turn = 0
local function next_order()
  turn = turn + 1
  local chosen, live = nil, {}
  for _, signal in ipairs(signals) do
    local unseen = signal.bound()
    for _, order in ipairs(signal.orders) do
      if unseen and not order.ended then
        live[#live + 1] = order
        if not chosen or (order.drop or math.huge) > (chosen.drop or math.huge) then
          chosen = order
        end
      end
    end
  end
  if turn % 8 == 0 and #live > 1 then
    return live[(turn / 8) % #live + 1]
  end
  return chosen
end
