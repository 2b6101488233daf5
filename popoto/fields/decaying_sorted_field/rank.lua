-- A signal that decays: base * max(days since, 0.01) ^ -rate, the base 1 where there is none.
-- A prelude: it needs new_order() of orders.lua, signal_kinds, signal_scores(), product() and now_seconds of signals.lua.
-- Words: the rate; the field of the base, or ''; 1 where the base is the field's own. Beside: where bases are kept.
--
-- The bound: no unseen row has a better base than the last one in the order of bases, nor a better factor than the last
-- one in the order of times. Where some rows' bases are in their hashes only, there is none until all were seen.
--
-- decaying(signal)   makes the signal; signal.rests() tells whether rows are unseen, signal.decay_bound() bounds the
--   decayed base of those, weighted, and signal.decayed(members, order, scores) gives it with the times
-- include: popoto.fields.decaying_sorted_field base.lua
local DAY = 86400
local FLOOR_DAYS = 0.01

local function decaying(signal)
  local rate, base_field = tonumber(signal.words[1]), signal.words[2]
  local based, weight = base_field ~= '', signal.weight
  local base_key = signal.beside[1] ~= '' and signal.beside[1]
  local times, all = {}, 0
  for place, key in ipairs(signal.keys) do
    times[place], all = key, all + redis.call('ZCARD', key)
  end
  local kept = base_key and redis.call('ZCARD', base_key) == all
  -- Own bases are kept with the times; the numbers of another field are of the same rows when both have all rows.
  if kept and signal.words[3] ~= '1' then
    kept = redis.call('SCARD', KEYS[1]) == all
  end
  signal.bounded = not based or kept
  if based then
    signal.cost = signal.cost + (kept and 1 or 2)
  end

  local function factor(moment)
    local days = (now_seconds - moment) / DAY
    return (days > FLOOR_DAYS and days or FLOOR_DAYS) ^ -rate
  end

  -- The best that weight and base make; where it is below nothing, the least factor is the best one.
  local best = weight
  if based and kept then
    local top = redis.call('ZRANGE', base_key, 0, 0, 'REV', 'WITHSCORES')
    if weight < 0 then
      top = redis.call('ZRANGE', base_key, 0, 0, 'WITHSCORES')
    end
    best = top[2] and product(weight, to_number(top[2])) or 0
  end
  local recent = (best > 0) == (rate >= 0)
  local far
  for place, key in ipairs(times) do
    signal.orders[place] = new_order(key, recent, recent and '+inf' or '-inf', recent and '-inf' or '+inf')
    local last = redis.call('ZRANGE', key, recent and 0 or -1, recent and 0 or -1, 'WITHSCORES')
    if last[2] then
      local reached = factor(to_number(last[2]))
      far = (not far or reached < far) and reached or far
    end
  end
  local bases
  if based and kept then
    local down = weight >= 0
    bases = new_order(base_key, down, down and '+inf' or '-inf', down and '-inf' or '+inf')
    signal.orders[#signal.orders + 1] = bases
  end

  function signal.rests()
    if bases and bases.ended then
      return false
    end
    for place = 1, #times do
      if not signal.orders[place].ended then
        return true
      end
    end
    return false
  end

  function signal.decay_bound()
    local near
    for place = 1, #times do
      local order = signal.orders[place]
      if not order.ended then
        local reached = factor(order.frontier)
        near = (not near or (best > 0) == (reached > near)) and reached or near
      end
    end
    local value = bases and product(weight, bases.frontier) or weight
    if best > 0 then
      return product(value, value > 0 and near or far)
    end
    return product(value, near)
  end

  local function bases_of(members, order, scores)
    if not based then
      return {}
    elseif bases and order == bases then
      return scores
    end
    local found = base_key and redis.call('ZMSCORE', base_key, unpack(members)) or {}
    for place, member in ipairs(members) do
      if found[place] then
        found[place] = tonumber(found[place]) or to_number(found[place])
      else
        found[place] = base_of(held('HGET', member, base_field))
      end
    end
    return found
  end

  function signal.decayed(members, order, scores)
    local moments, raw = signal_scores(times, members, order, scores), {}
    local found = bases_of(members, order, scores)
    for place = 1, #members do
      local moment = moments[place]
      if moment then
        raw[place] = factor(moment)
        if based then
          raw[place] = product(found[place], raw[place])
        end
      end
    end
    return raw, moments
  end
end

signal_kinds.decay = function(signal)
  decaying(signal)
  signal.raw = signal.decayed

  function signal.bound()
    if not signal.rests() then
      return nil
    end
    return signal.bounded and signal.decay_bound() or math.huge
  end

  -- Of equal bases the lower key was first; of equal factors it need not be.
  function signal.edge()
    local last = signal.orders[#signal.orders]
    return #signal.orders > #signal.keys and last.last_key
  end
end
