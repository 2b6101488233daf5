-- A signal that decays, resonates with its cycles, and grows while its row waits for an answer.
-- A prelude: it follows the rank.lua of the decaying field.
-- Words: as a decaying signal, then the definition's number, and of each cycle period, amplitude and phase.
-- Beside: the bases, the cycles, the pressure, the shapes, the waits and the rates, as companion.lua keeps them.
--
-- The bound adds to that of the decay: the resonance of the definition, or the largest sum of amplitudes among the rows
-- that have learned others; and the pressure of the row that has waited longest, at the highest rate. Where rows have neither the cycles of
-- the present definition nor learned ones, there is none until all were seen.
-- include: popoto.fields.cyclic_decay_field stored.lua
local function resonance(cycles)
  local sum = 0
  for _, cycle in ipairs(cycles) do
    sum = sum + cycle[2] * math.cos(2 * math.pi * (now_seconds - cycle[3]) / cycle[1])
  end
  return sum
end

local function pressed(rate, resolved)
  return rate > 0 and rate * math.max((now_seconds - resolved) / DAY, 0) or 0
end

signal_kinds.cyclic = function(signal)
  decaying(signal)
  signal.cost = signal.cost + 2
  local weight, shape = signal.weight, signal.words[4]
  local cycles_key, pressure_key, shapes_key = signal.beside[2], signal.beside[3], signal.beside[4]
  local defined = {}
  for place = 5, #signal.words, 3 do
    local period, amplitude, phase = signal.words[place], signal.words[place + 1], signal.words[place + 2]
    defined[#defined + 1] = {tonumber(period), tonumber(amplitude), tonumber(phase)}
  end
  local standard = resonance(defined)
  local all = 0
  for _, key in ipairs(signal.keys) do
    all = all + redis.call('ZCARD', key)
  end
  local plain = redis.call('ZCOUNT', shapes_key, '-' .. shape, '-' .. shape)
  local learned = redis.call('ZCOUNT', shapes_key, 0, '+inf')
  signal.bounded = signal.bounded and plain + learned == all
  local amplitudes = new_order(shapes_key, true, '+inf', '0')
  local waits = new_order(signal.beside[5], false, '-inf', '+inf')
  local rate = to_number(redis.call('ZRANGE', signal.beside[6], 0, 0, 'REV', 'WITHSCORES')[2] or '0')
  signal.orders[#signal.orders + 1] = amplitudes
  signal.orders[#signal.orders + 1] = waits

  function signal.bound()
    if not signal.rests() then
      return nil
    elseif not signal.bounded then
      return math.huge
    end
    local sign = weight < 0 and -1 or 1
    local swing = not amplitudes.ended and amplitudes.frontier or -math.huge
    if plain > 0 or learned == 0 then
      swing = math.max(swing, sign * standard)
    elseif swing == -math.huge then
      swing = 0
    end
    local push = weight > 0 and not waits.ended and pressed(rate, waits.frontier) or 0
    -- A hair above, as the parts are added in another order than the numbers themselves.
    local bound = signal.decay_bound() + sign * weight * (swing + push)
    return bound + math.abs(bound) * 1e-12
  end

  function signal.edge()
    return nil
  end

  local pressing = redis.call('EXISTS', pressure_key) == 1
  local known = {}
  local function rhythm(raw)
    if not known[raw] then
      known[raw] = resonance(stored_cycles(raw))
    end
    return known[raw]
  end

  function signal.raw(members, order, scores)
    local raw, moments = signal.decayed(members, order, scores)
    local cycles = redis.call('HMGET', cycles_key, unpack(members))
    local pressures = pressing and redis.call('HMGET', pressure_key, unpack(members))
    for place = 1, #members do
      if raw[place] then
        local push = 0
        if pressing and pressures[place] then
          local held, resolved = stored_pressure(pressures[place])
          push = held and pressed(held, resolved) or 0
        end
        raw[place] = raw[place] + (cycles[place] and rhythm(cycles[place]) or 0) + push
      end
    end
    return raw, moments
  end
end
