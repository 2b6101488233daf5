-- Cycles and pressure as they are stored: `[[period, amplitude, phase], ...]` and `{rate, last_resolved}` in msgpack.
-- A prelude: it needs value_number() of values.lua; the parts that write need float_bytes() of arithmetic.lua.
--
-- stored_cycles(raw)     the cycles as a list of {period, amplitude, phase}; {} for what cannot be read
-- stored_pressure(raw)   rate and last_resolved; nil for what cannot be read
-- cycles_bytes(cycles), pressure_bytes(rate, last_resolved)
local stored_cycles, stored_pressure, cycles_bytes, pressure_bytes
do
  local byte, sub = string.byte, string.sub
  local WIDTHS = {
    [0xca] = 5, [0xcb] = 9, [0xcc] = 2, [0xcd] = 3, [0xce] = 5, [0xcf] = 9, [0xd0] = 2, [0xd1] = 3, [0xd2] = 5, [0xd3] = 9,
  }

  -- A finite number that begins at a place, and the place after it.
  local function number_at(raw, at)
    local first = byte(raw, at)
    if not first then
      return nil, at
    end
    local width = (first < 0x80 or first >= 0xe0) and 1 or WIDTHS[first]
    local number = width and value_number(sub(raw, at, at + width - 1))
    if not number or number ~= number or number == math.huge or number == -math.huge then
      return nil, at
    end
    return number, at + width
  end

  local function cycle_at(raw, at)
    local first = byte(raw, at)
    if first ~= 0x92 and first ~= 0x93 then
      return nil, at
    end
    local cycle = {0, 0, 0}
    at = at + 1
    for place = 1, first - 0x90 do
      cycle[place], at = number_at(raw, at)
      if not cycle[place] then
        return nil, at
      end
    end
    return cycle[1] > 0 and cycle or nil, at
  end

  stored_cycles = function(raw)
    local first = raw and byte(raw, 1)
    local count, at = first and first - 0x90, 2
    if first == 0xdc and #raw >= 3 then
      count, at = byte(raw, 2) * 256 + byte(raw, 3), 4
    elseif not first or first < 0x90 or first > 0x9f then
      return {}
    end
    local cycles = {}
    for place = 1, count do
      cycles[place], at = cycle_at(raw, at)
      if not cycles[place] then
        return {}
      end
    end
    return cycles
  end

  stored_pressure = function(raw)
    if not raw or byte(raw, 1) ~= 0x82 then
      return nil
    end
    local found, at = {}, 2
    for _ = 1, 2 do
      local first = byte(raw, at)
      if not first or first < 0xa0 or first > 0xbf then
        return nil
      end
      local after = at + first - 0x9f
      local name = sub(raw, at + 1, after - 1)
      found[name], at = number_at(raw, after)
    end
    if found.rate and found.last_resolved then
      return found.rate, found.last_resolved
    end
    return nil
  end

  cycles_bytes = function(cycles)
    local count = #cycles
    local parts = {count < 16 and string.char(0x90 + count) or '\220' .. string.char(math.floor(count / 256), count % 256)}
    for place, cycle in ipairs(cycles) do
      parts[place + 1] = '\147' .. float_bytes(cycle[1]) .. float_bytes(cycle[2]) .. float_bytes(cycle[3])
    end
    return table.concat(parts)
  end

  pressure_bytes = function(rate, last_resolved)
    return '\130\164rate' .. float_bytes(rate) .. '\173last_resolved' .. float_bytes(last_resolved)
  end
end
