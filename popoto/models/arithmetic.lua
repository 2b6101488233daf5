-- Exact addition to a stored msgpack number, and the bytes of the sum as Python's msgpack writes them.
-- A prelude: it needs value_number() of values.lua.
--
-- added(code, raw, delta)   the bytes of the sum and its text; nil where a double cannot tell it: code i (int) beyond
--   2^53, D (Decimal) always, f (float) when the sum is not a finite number
local EXACT = 2 ^ 53

local function big_endian(number, width)
  local text = {}
  for place = width, 1, -1 do
    text[place] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(text)
end

local function int_bytes(number)
  if number >= 0 then
    if number < 128 then return string.char(number) end
    if number < 256 then return '\204' .. big_endian(number, 1) end
    if number < 65536 then return '\205' .. big_endian(number, 2) end
    if number < 2 ^ 32 then return '\206' .. big_endian(number, 4) end
    return '\207' .. big_endian(number, 8)
  end
  if number >= -32 then return string.char(number + 256) end
  if number >= -128 then return '\208' .. big_endian(number + 256, 1) end
  if number >= -32768 then return '\209' .. big_endian(number + 65536, 2) end
  if number >= -2 ^ 31 then return '\210' .. big_endian(number + 2 ^ 32, 4) end
  -- Eight bytes of two's complement, as two halves: a double cannot hold 2^64 + number.
  local high = math.floor(number / 2 ^ 32)
  return '\211' .. big_endian(high + 2 ^ 32, 4) .. big_endian(number - high * 2 ^ 32, 4)
end

local function float_bytes(number)
  local sign = 0
  if number < 0 or (number == 0 and 1 / number < 0) then
    sign, number = 128, -number
  end
  if number == 0 then
    return '\203' .. string.char(sign) .. string.rep('\0', 7)
  end
  local mantissa, exponent = math.frexp(number)
  local biased, whole = exponent + 1022, nil
  if biased > 0 then
    whole = (mantissa * 2 - 1) * 2 ^ 52
  else
    whole, biased = mantissa * 2 ^ (52 + biased), 0
  end
  local high = math.floor(whole / 2 ^ 48)
  local head = string.char(sign + math.floor(biased / 16), (biased % 16) * 16 + high)
  return '\203' .. head .. big_endian(whole - high * 2 ^ 48, 6)
end

local function added(code, raw, delta)
  local number = (not raw or raw == '\192') and 0 or value_number(raw)
  local step = tonumber(delta)
  if code == 'D' or not number or not step then
    return nil
  end
  local sum = number + step
  if code == 'i' then
    local whole = number == math.floor(number) and step == math.floor(step)
    -- 2^53 itself may be 2^53 + 1, rounded.
    if not whole or math.abs(number) >= EXACT or math.abs(step) >= EXACT or math.abs(sum) >= EXACT then
      return nil
    end
    return int_bytes(sum), string.format('%.17g', sum)
  end
  if sum ~= sum or sum == math.huge or sum == -math.huge then
    return nil
  end
  return float_bytes(sum), string.format('%.17g', sum)
end
