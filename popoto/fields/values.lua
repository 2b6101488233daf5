-- Value texts: the key parts of a stored msgpack value, spelled as popoto.keys spells them.
-- A prelude: it defines two locals for the script it is put in front of, and reads no KEYS and no ARGV.
--
-- value_text(kind, raw)  canonical and 1.x's part; nil, nil where raw is missing, unreadable or not derivable
--   kind: i int, f float, D Decimal, s str, b bool, d date, t datetime, T time, r a related key (not escaped),
--   x any other type
-- value_number(raw)      the Lua number of an int or float, rounded to a double; nil for anything else
local value_text, value_number
do
  local byte, find, format, gsub = string.byte, string.find, string.format, string.gsub
  local match, rep, sub, upper = string.match, string.rep, string.sub, string.upper

  local function marked(text)
    return (gsub(text, "[/'?*^%[%]%-]", "/%0"))
  end

  local function parts(text)
    if not find(text, "[/'?*^%[%]%-:{]") then
      if text == "None" then return "/None", "None" end
      return text, text
    end
    text = marked(text)
    local legacy = gsub(text, ":", "{&#58;}")
    if not find(text, "{&#58;}", 1, true) then return legacy, legacy end
    return gsub(gsub(text, "{&#58;}", "{/&#58;}"), ":", "{&#58;}"), legacy
  end

  -- Strings

  local function is_utf8(text)
    if not find(text, "[\128-\255]") then return true end
    text = gsub(text, "[\194-\223][\128-\191]", ".")
    text = gsub(text, "\224[\160-\191][\128-\191]", ".")
    text = gsub(text, "\237[\128-\159][\128-\191]", ".")
    text = gsub(text, "[\225-\236\238\239][\128-\191][\128-\191]", ".")
    text = gsub(text, "\240[\144-\191][\128-\191][\128-\191]", ".")
    text = gsub(text, "\244[\128-\143][\128-\191][\128-\191]", ".")
    text = gsub(text, "[\241-\243][\128-\191][\128-\191][\128-\191]", ".")
    return not find(text, "[\128-\255]")
  end

  -- The str that begins at a byte of raw, and the place after it.
  local function str_at(raw, at)
    local b, start, length = byte(raw, at), at + 1, nil
    if not b then return nil end
    if b >= 0xa0 and b <= 0xbf then
      length = b - 0xa0
    elseif b == 0xd9 then
      length, start = byte(raw, at + 1), at + 2
    elseif b == 0xda and #raw >= at + 2 then
      local b1, b2 = byte(raw, at + 1, at + 2)
      length, start = b1 * 256 + b2, at + 3
    elseif b == 0xdb and #raw >= at + 4 then
      local b1, b2, b3, b4 = byte(raw, at + 1, at + 4)
      length, start = ((b1 * 256 + b2) * 256 + b3) * 256 + b4, at + 5
    end
    if not length or start + length - 1 > #raw then return nil end
    return sub(raw, start, start + length - 1), start + length
  end

  local function whole_str(raw)
    local text, after = str_at(raw, 1)
    if text and after == #raw + 1 and is_utf8(text) then return text end
    return nil
  end

  -- The text of a tagged map of 1.x, its two keys in either order.
  local function tagged(raw, tag)
    if byte(raw, 1) ~= 0x82 then return nil end
    local name, at = str_at(raw, 2)
    local text, second
    if name == tag and byte(raw, at) == 0xc3 then
      second, at = str_at(raw, at + 1)
      if second ~= "as_encodable" then return nil end
      text, at = str_at(raw, at)
    elseif name == "as_encodable" then
      text, at = str_at(raw, at)
      if not text then return nil end
      second, at = str_at(raw, at)
      if second ~= tag or byte(raw, at) ~= 0xc3 then return nil end
      at = at + 1
    end
    if text and at == #raw + 1 then return text end
    return nil
  end

  local FIXED_EXT = { [0xd4] = 1, [0xd5] = 2, [0xd6] = 4, [0xd7] = 8, [0xd8] = 16 }

  local function extension(raw, code)
    local b, length, at = byte(raw, 1), nil, 2
    if FIXED_EXT[b] then
      length = FIXED_EXT[b]
    elseif b == 0xc7 then
      length, at = byte(raw, 2), 3
    elseif b == 0xc8 and #raw >= 3 then
      local b1, b2 = byte(raw, 2, 3)
      length, at = b1 * 256 + b2, 4
    end
    if length and byte(raw, at) == code and #raw == at + length then return sub(raw, at + 1) end
    return nil
  end

  -- Numbers

  -- The digits of a 64-bit integer of 8 bytes: a double would round it.
  local function wide_digits(negative, ...)
    local limbs = { 0, 0, 0 } -- base 10^7: limb * 256 stays far below 2^53
    for i = 1, 8 do
      local carry = select(i, ...)
      -- the magnitude of a negative: all bits turned, plus one
      if negative then carry = 255 - carry + (i == 8 and 1 or 0) end
      for j = 1, 3 do
        local sum = limbs[j] * 256 + carry
        limbs[j] = sum % 10000000
        carry = (sum - limbs[j]) / 10000000
      end
    end
    local digits = format("%07.0f%07.0f%07.0f", limbs[3], limbs[2], limbs[1])
    return (negative and "-" or "") .. gsub(digits, "^0+", "")
  end

  local WIDTH = { [0xcc] = 1, [0xcd] = 2, [0xce] = 4, [0xcf] = 8, [0xd0] = 1, [0xd1] = 2, [0xd2] = 4, [0xd3] = 8 }

  -- The nearest double and the exact digits of a msgpack int.
  local function integer(raw)
    local b = byte(raw, 1)
    local number
    if #raw == 1 then
      if b <= 0x7f then number = b elseif b >= 0xe0 then number = b - 256 else return nil end
    else
      local width = WIDTH[b]
      if not width or #raw ~= width + 1 then return nil end
      local signed = b >= 0xd0
      local top = byte(raw, 2)
      number = (signed and top >= 128) and top - 256 or top
      for i = 3, width < 8 and #raw or 5 do number = number * 256 + byte(raw, i) end
      if width == 8 then
        local b1, b2, b3, b4 = byte(raw, 6, 9)
        -- 2^32 is a float in every Lua: one rounding, as Python's float() does
        number = number * 2 ^ 32 + (((b1 * 256 + b2) * 256 + b3) * 256 + b4)
        if number >= 2 ^ 53 or number <= -2 ^ 53 then
          return number, wide_digits(number < 0, byte(raw, 2, 9))
        end
      end
    end
    return number, format("%.0f", number)
  end

  local function floating(raw)
    local sign, exponent, mantissa, bits, bias, top
    if #raw == 9 and byte(raw, 1) == 0xcb then
      local b1, b2, b3, b4, b5, b6, b7, b8 = byte(raw, 2, 9)
      sign, exponent = b1, (b1 % 128) * 16 + (b2 - b2 % 16) / 16
      mantissa = (b2 % 16) * 2 ^ 48 + ((b3 * 256 + b4) * 256 + b5) * 2 ^ 24 + (b6 * 256 + b7) * 256 + b8
      bits, bias, top = 52, 1023, 2047
    elseif #raw == 5 and byte(raw, 1) == 0xca then
      local b1, b2, b3, b4 = byte(raw, 2, 5)
      sign, exponent = b1, (b1 % 128) * 2 + (b2 - b2 % 128) / 128
      mantissa = ((b2 % 128) * 256 + b3) * 256 + b4
      bits, bias, top = 23, 127, 255
    else
      return nil
    end
    local number
    if exponent == top then
      if mantissa ~= 0 then return 0 / 0 end
      number = 1 / 0
    elseif exponent == 0 then
      number = mantissa * 2 ^ (1 - bias - bits)
    else
      number = (mantissa + 2 ^ bits) * 2 ^ (exponent - bias - bits)
    end
    return sign >= 128 and -number or number
  end

  value_number = function(raw)
    if not raw or raw == "" then return nil end
    return (integer(raw)) or floating(raw)
  end

  -- The fewest digits that read back as a positive number, and its decimal exponent: number = 0.digits * 10^point.
  local function shortest(number)
    -- Normal numbers of at most 15 digits are found at 15; below 2^-1022 fewer digits are enough.
    local text
    for precision = number < 2 ^ -1022 and 1 or 15, 17 do
      text = format("%." .. format("%d", precision - 1) .. "e", number)
      if tonumber(text) == number then break end
      if precision == 16 then
        -- At a power of two the doubles above are twice as far apart: the next decimal up may be right.
        local lead, digits, exponent = match(text, "^(%d)%.(%d+)e(.+)$")
        text = format("%.0f", tonumber(lead .. digits) + 1)
        text = sub(text, 1, 1) .. "." .. sub(text, 2) .. "e" .. exponent
        if tonumber(text) == number then break end
      end
    end
    local lead, digits, exponent = match(text, "^(%d)%.?(%d*)e(.+)$")
    digits = gsub(lead .. digits, "0+$", "")
    return digits, tonumber(exponent) + 1
  end

  -- Python's repr of a float.
  local function float_text(number)
    if number ~= number then return "nan" end
    if number == 0 then return 1 / number < 0 and "-0.0" or "0.0" end
    local sign = number < 0 and "-" or ""
    number = number < 0 and -number or number
    if number == 1 / 0 then return sign .. "inf" end
    local digits, point = shortest(number)
    if point > 16 or point < -3 then
      local fraction = #digits > 1 and "." .. sub(digits, 2) or ""
      return sign .. sub(digits, 1, 1) .. fraction .. "e" .. format("%+03d", point - 1)
    elseif point <= 0 then
      return sign .. "0." .. rep("0", -point) .. digits
    elseif point >= #digits then
      return sign .. digits .. rep("0", point - #digits) .. ".0"
    end
    return sign .. sub(digits, 1, point) .. "." .. sub(digits, point + 1)
  end

  -- Digits with the point after the first `point` of them.
  local function fixed(digits, point)
    if point <= 0 then return "0." .. rep("0", -point) .. digits end
    if point >= #digits then return digits .. rep("0", point - #digits) end
    return sub(digits, 1, point) .. "." .. sub(digits, point + 1)
  end

  -- The canonical text of a Decimal, and Python's str() of it.
  local function decimal_texts(text)
    local sign, whole, fraction, rest = match(text, "^([+-]?)(%d*)%.?(%d*)(.*)$")
    if sign == "+" then sign = "" end
    if whole == "" and fraction == "" then
      local word = upper(rest)
      if word == "INF" or word == "INFINITY" then return sign .. "Infinity", sign .. "Infinity" end
      local signal, payload = match(word, "^(S?)NAN0*(%d*)$")
      if not signal or find(text, ".", 1, true) then return nil end
      word = sign .. (signal == "S" and "s" or "") .. "NaN" .. payload
      return word, word
    end
    local exponent = match(rest, "^[eE]([+-]?%d+)$")
    -- 15 digits: an exponent must stay exact as a double
    if rest ~= "" and not (exponent and #exponent <= 16) then return nil end
    exponent = (exponent and tonumber(exponent) or 0) - #fraction
    local digits = match(whole .. fraction, "^0*(%d+)$")
    local point = exponent + #digits
    local legacy
    if exponent <= 0 and point > -6 then
      legacy = fixed(digits, point)
    else
      legacy = fixed(digits, 1) .. (point == 1 and "" or format("E%+.0f", point - 1))
    end
    if digits == "0" then return "0", sign .. legacy end
    local significant = gsub(digits, "0+$", "")
    exponent = exponent + #digits - #significant
    local canonical
    if exponent >= -40 and exponent <= 40 then
      canonical = fixed(significant, #significant + exponent)
    else
      canonical = significant .. format("E%.0f", exponent)
    end
    return sign .. canonical, sign .. legacy
  end

  -- Dates and times

  local MONTH_DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

  local function is_day(year, month, day)
    year, month, day = tonumber(year), tonumber(month), tonumber(day)
    local days = MONTH_DAYS[month]
    if month == 2 and year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) then days = 29 end
    return days and year >= 1 and day >= 1 and day <= days
  end

  local function is_clock(hour, minute, second)
    return hour < "24" and minute < "60" and second < "60"
  end

  -- 1.x wrote the year 999 unpadded: the year is what precedes the last four digits.
  local function stamped_day(stamp)
    local year, month, day = match(stamp, "^(%d+)(%d%d)(%d%d)$")
    if not year or #year > 4 or not is_day(year, month, day) then return nil end
    return rep("0", 4 - #year) .. year .. "-" .. month .. "-" .. day
  end

  local function stamped_time(stamp)
    local hour, minute, second, fraction = match(stamp, "^(%d%d):(%d%d):(%d%d)(%.%d%d%d%d%d%d)$")
    if not hour or not is_clock(hour, minute, second) then return nil end
    return hour .. ":" .. minute .. ":" .. second .. (fraction == ".000000" and "" or fraction)
  end

  local function stamped_datetime(stamp)
    local day, clock = match(stamp, "^(%d+)T(.+)$")
    day = day and stamped_day(day)
    clock = day and stamped_time(clock)
    return clock and day .. " " .. clock
  end

  -- An ISO time with its offset, as the extension types hold it; what str() gives of it.
  local function iso_time(text)
    local hour, minute, second, rest = match(text, "^(%d%d):(%d%d):(%d%d)(.*)$")
    if not hour or not is_clock(hour, minute, second) then return nil end
    local after = match(rest, "^%.%d%d%d%d%d%d(.*)$") or rest
    if after == "" then return text end
    local h, m, more = match(after, "^[+-](%d%d):(%d%d)(.*)$")
    local s = more and (more == "" and "00" or match(more, "^:(%d%d)$") or match(more, "^:(%d%d)%.%d%d%d%d%d%d$"))
    return s and is_clock(h, m, s) and text or nil
  end

  -- The text of a moment with a zone or a fold: `2024-01-02T03:04:05+01:00;zone=Europe/Paris;fold=1`.
  local function extended_moment(raw, code, dated)
    local text = extension(raw, code)
    if not text or not is_utf8(text) then return nil end
    local iso, rest = match(text, "^([^;]*)(.*)$")
    rest = gsub(rest, ";fold=1$", "")
    if rest ~= "" and not find(rest, "^;zone=[^;]+$") then return nil end
    if not dated then return iso_time(iso) end
    local year, month, day, clock = match(iso, "^(%d%d%d%d)%-(%d%d)%-(%d%d)T(.+)$")
    clock = year and is_day(year, month, day) and iso_time(clock)
    return clock and sub(iso, 1, 10) .. " " .. clock or nil
  end

  local function escaped(text)
    if not text then return nil, nil end
    return parts(text)
  end

  local READ = {}

  function READ.s(raw) return escaped(whole_str(raw)) end

  function READ.r(raw)
    local text = whole_str(raw)
    return text, text
  end

  function READ.b(raw)
    if raw == "\195" then return "True", "True" end
    if raw == "\194" then return "False", "False" end
    return nil, nil
  end

  function READ.i(raw)
    -- 1.x let a bool pass as an int; its increments wrote large ints as floats
    if raw == "\195" then return "1", "True" end
    if raw == "\194" then return "0", "False" end
    local _, digits = integer(raw)
    if not digits then
      local number = floating(raw)
      if not number then
        digits = match(extension(raw, 1) or "", "^%-?[1-9]%d*$")
      elseif number % 1 == 0 then
        digits = number == 0 and "0" or format("%.0f", number)
      end
    end
    return escaped(digits)
  end

  function READ.f(raw)
    local number = value_number(raw)
    if not number then return nil, nil end
    local text = marked(float_text(number))
    return number == 0 and "0.0" or text, text
  end

  function READ.D(raw)
    local text = tagged(raw, "__Decimal__")
    if not text then
      local _, digits = integer(raw)
      local number = not digits and floating(raw)
      text = digits or number and float_text(number)
    end
    if not text then return nil, nil end
    local canonical, legacy = decimal_texts(text)
    if not canonical then return nil, nil end
    return marked(canonical), marked(legacy)
  end

  function READ.d(raw)
    local stamp = tagged(raw, "__date__")
    return escaped(stamp and stamped_day(stamp))
  end

  function READ.t(raw)
    local stamp = tagged(raw, "__datetime__")
    if stamp then return escaped(stamped_datetime(stamp)) end
    return escaped(extended_moment(raw, 3, true))
  end

  function READ.T(raw)
    local stamp = tagged(raw, "__time__")
    if stamp then return escaped(stamped_time(stamp)) end
    return escaped(extended_moment(raw, 5, false))
  end

  value_text = function(kind, raw)
    local read = READ[kind]
    if not read or not raw or raw == "" then return nil, nil end
    if raw == "\192" then return "None", "None" end
    return read(raw)
  end
end
