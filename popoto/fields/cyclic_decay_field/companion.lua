-- Cycles and pressure: what a row has learned of its rhythm, and since when it waits for an answer.
-- Stores: 1 the cycles, 2 the pressure, each a field of a hash; for rankings the sorted sets 3 shapes, 4 waits, 5 rates.
-- A row's shape is minus the definition's number while it has the cycles of the definition, else the sum of its
-- amplitudes, which bounds its resonance; its wait is the moment of the last answer, its rate that of its pressure.
-- Settled: the definition's number; the rate of pressure; of each cycle period, amplitude and phase.
-- include: popoto.fields.cyclic_decay_field stored.lua
local MOST_AMPLITUDE, LEAST_AMPLITUDE = 100, 0.01

local function defined_cycles(one)
  local cycles = {}
  for place = 3, #one.settled, 3 do
    local period, amplitude, phase = one.settled[place], one.settled[place + 1], one.settled[place + 2]
    cycles[#cycles + 1] = {tonumber(period), tonumber(amplitude), tonumber(phase)}
  end
  return cycles
end

local function same_cycles(some, others)
  if #some ~= #others then
    return false
  end
  for place, cycle in ipairs(some) do
    for part = 1, 3 do
      if cycle[part] ~= others[place][part] then
        return false
      end
    end
  end
  return true
end

local function note_shape(one, key, place, cycles)
  local shape = 0
  for _, cycle in ipairs(cycles) do
    shape = shape + cycle[2]
  end
  if same_cycles(cycles, defined_cycles(one)) then
    shape = -tonumber(one.settled[1])
  end
  redis.call('ZADD', store_key(one, 3, place, key), string.format('%.17g', shape), key)
end

local function note_wait(one, key, place, rate, resolved)
  redis.call('HSET', store_key(one, 2, place, key), key, pressure_bytes(rate, resolved))
  redis.call('ZADD', store_key(one, 4, place, key), string.format('%.17g', resolved), key)
  redis.call('ZADD', store_key(one, 5, place, key), string.format('%.17g', rate), key)
end

-- Cycles that were never strengthened or weakened follow the class; what was learned stays.
local function save_cycles(one, key, place)
  local at = store_key(one, 1, place, key)
  local raw, shape = redis.call('HGET', at, key), redis.call('ZSCORE', store_key(one, 3, place, key), key)
  local cycles = defined_cycles(one)
  if raw and not (shape and tonumber(shape) < 0) then
    cycles = stored_cycles(raw)
  elseif #cycles > 0 then
    local bytes = cycles_bytes(cycles)
    if raw ~= bytes then
      redis.call('HSET', at, key, bytes)
    end
  elseif raw then
    redis.call('HDEL', at, key)
  end
  note_shape(one, key, place, cycles)
end

companion_kinds.cyclic = {
  save = function(one, event)
    local key, place, rate = event.key, event.to, tonumber(one.settled[2])
    save_cycles(one, key, place)
    local at = store_key(one, 2, place, key)
    local raw = redis.call('HGET', at, key)
    if rate > 0 then
      local _, resolved = stored_pressure(raw)
      note_wait(one, key, place, rate, resolved or event.now / 1000)
    elseif raw then
      redis.call('HDEL', at, key)
      redis.call('ZREM', store_key(one, 4, place, key), key)
      redis.call('ZREM', store_key(one, 5, place, key), key)
    end
  end,
  acts = {
    -- Words: the rate. The moment of the answer as a reply.
    resolve = function(one, event, words)
      note_wait(one, event.key, event.to, tonumber(words[1]), event.now / 1000)
      return string.format('%.17g', event.now / 1000)
    end,
    -- Words: the factor. The cycles as a reply, three texts for each.
    scale = function(one, event, words)
      local at, reply = store_key(one, 1, event.to, event.key), {}
      local raw = redis.call('HGET', at, event.key)
      local cycles = stored_cycles(raw)
      if not raw or #cycles == 0 then
        return reply
      end
      for place, cycle in ipairs(cycles) do
        local amplitude = math.min(math.max(cycle[2] * tonumber(words[1]), 0), MOST_AMPLITUDE)
        cycle[2] = amplitude < LEAST_AMPLITUDE and 0 or amplitude
        for part = 1, 3 do
          reply[3 * place - 3 + part] = string.format('%.17g', cycle[part])
        end
      end
      redis.call('HSET', at, event.key, cycles_bytes(cycles))
      note_shape(one, event.key, event.to, cycles)
      return reply
    end,
  },
}
