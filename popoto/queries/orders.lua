-- Orders: sorted sets that are walked from their best end, some members at a time.
-- A prelude: it needs to_number() of sources.lua, and takes two words: how many members a walk's first step takes, and
-- how many a later one at most.
--
-- new_order(key, down, first, last)   a walk by score, downward or upward, from one score to another; of equal scores
--   the lower key first
-- next_members(order)    some more members with their scores, more at each call; then order.frontier is the last one's
--   score, order.last_key its key, and order.ended says whether there are no more
-- order_cursor(order), resume(order, cursor)   where a later script goes on, as one word
local FIRST_STEP, MOST_STEP = tonumber(take()), tonumber(take())

local function new_order(key, down, first, last)
  return {key = key, down = down, edge = first, last = last, seen = 0, met = 0, step = FIRST_STEP, ended = false}
end

local function range_of(order, from, to, offset, count)
  if order.down then
    return redis.call('ZRANGE', order.key, from, to, 'BYSCORE', 'REV', 'LIMIT', offset, count, 'WITHSCORES')
  end
  return redis.call('ZRANGE', order.key, from, to, 'BYSCORE', 'LIMIT', offset, count, 'WITHSCORES')
end

-- Members of one score, more than fit into a step: these are counted through in the order of their keys.
local function next_ties(order)
  local flat = redis.call('ZRANGE', order.key, order.tied, order.tied, 'BYSCORE', 'LIMIT', order.seen, order.step,
    'WITHSCORES')
  local members, scores = {}, {}
  for place = 1, #flat, 2 do
    members[#members + 1], scores[#scores + 1] = flat[place], to_number(flat[place + 1])
  end
  order.seen = order.seen + #members
  if #members < order.step then
    order.edge, order.tied, order.seen = '(' .. order.tied, nil, 0
  end
  return members, scores
end

-- Members and scores; each group of equal scores turned when the walk goes down: a reversed range has the higher key
-- first.
local function grouped(order, flat, count)
  local members, scores = {}, {}
  for place = 1, count do
    local text = flat[2 * place]
    members[place], scores[place] = flat[2 * place - 1], tonumber(text) or to_number(text)
  end
  local first = 1
  while order.down and first < count do
    local last = first
    while scores[last + 1] == scores[first] do
      last = last + 1
    end
    for place = 0, (last - first - 1) / 2 do
      members[first + place], members[last - place] = members[last - place], members[first + place]
    end
    first = last + 1
  end
  return members, scores
end

local function next_groups(order)
  local flat = range_of(order, order.edge, order.last, 0, order.step)
  local count = #flat / 2
  order.ended = count < order.step
  if not order.ended then
    -- The last group may go on beyond this step.
    local last = flat[2 * count]
    while count > 0 and flat[2 * count] == last do
      count = count - 1
    end
    if count == 0 then
      order.tied, order.seen = last, 0
      return next_ties(order)
    end
    order.edge = '(' .. flat[2 * count]
  end
  return grouped(order, flat, count)
end

local function next_members(order)
  local members, scores
  repeat
    if order.tied then
      members, scores = next_ties(order)
    else
      members, scores = next_groups(order)
    end
  until #members > 0 or order.ended
  -- Where the end is near, a large step overshoots it; where many were met in vain, it is not.
  order.met = order.met + #members
  order.step = math.min(order.met < 4 * MOST_STEP and math.ceil(MOST_STEP / 4) or MOST_STEP, 2 * order.step)
  if #members > 0 then
    order.frontier, order.last_key = scores[#scores], members[#members]
  end
  return members, scores
end

-- The keys of an order may hold anything: a later script meets the last one's score again instead.
local function order_cursor(order)
  if order.ended then
    return '-'
  elseif not order.frontier then
    return '?'
  end
  return order.edge .. ',' .. (order.tied or '') .. ',' .. order.seen .. ',' .. string.format('%.17g', order.frontier)
end

local function resume(order, cursor)
  if cursor == '-' or cursor == '?' then
    order.ended = cursor == '-'
    return
  end
  local edge, tied, seen, frontier = string.match(cursor, '^([^,]*),([^,]*),([^,]*),([^,]*)$')
  order.edge, order.tied, order.seen = edge, tied ~= '' and tied or nil, tonumber(seen)
  order.frontier, order.step, order.met = to_number(frontier), MOST_STEP, 4 * MOST_STEP
end
