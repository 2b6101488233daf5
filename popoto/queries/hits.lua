-- The best hits so far, as {score, moment, key}.
-- A prelude: it needs by_moment, most, least and after, the hit after which to begin, and floor, the worst hit that
-- still counts, of the script.
--
-- comes_before(hit, other)   whether one hit is better than another
-- worst_hit()                the worst hit that counts; nil while any does
-- offer(hit)                 puts it in its place, if it is better and a living row of the model
-- include: popoto.fields byte_order.lua
local best, held = {}, {}

local function comes_before(one, other)
  if one.score ~= other.score then
    return one.score > other.score
  elseif by_moment and one.moment ~= other.moment then
    return one.moment > other.moment
  end
  return precedes(one.key, other.key)
end

local function worst_hit()
  local last = best[most]
  return floor and (not last or comes_before(floor, last)) and floor or last
end

local function offer(hit)
  local worst = worst_hit()
  if (least and hit.score < least) or (worst and not comes_before(hit, worst)) or (after and not comes_before(after, hit))
    or held[hit.key]
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
  held[hit.key] = true
  if best[most + 1] then
    held[best[most + 1].key], best[most + 1] = nil, nil
  end
end
