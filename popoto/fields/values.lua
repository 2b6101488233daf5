-- Value texts: the key parts of a stored msgpack value, spelled as popoto.keys spells them.
-- A prelude: it defines five locals for the script it is put in front of, and reads no KEYS and no ARGV.
--
-- value_text(kind, raw)  the canonical part and 1.x's; nil, nil where raw is missing, unreadable or not derivable
--   kind: i int, f float, D Decimal, s str, b bool, d date, t datetime, T time, r a related key (not escaped),
--   x any other type
-- value_number(raw)      the double nearest to an int or float; nil for anything else
-- text_part(text)        the key part of a text, and the one that 1.x used
-- part_text(part)        the text of a key part
-- plain_text(kind, raw)  the text of a value's canonical part; nil as value_text()
local value_text, value_number, text_part, part_text, plain_text
do
  local byte, find, gsub, sub = string.byte, string.find, string.gsub, string.sub

  local function parts(text)
    if not text then return nil, nil end
    if not find(text, "[/'?*^%[%]%-:{]") then
      if text == "None" then return "/None", "None" end
      return text, text
    end
    text = gsub(text, "[/'?*^%[%]%-]", "/%0")
    local legacy = gsub(text, ":", "{&#58;}")
    if not find(text, "{&#58;}", 1, true) then return legacy, legacy end
    return gsub(gsub(text, "{&#58;}", "{/&#58;}"), ":", "{&#58;}"), legacy
  end

  -- Strings. At most four bytes form a character; no surrogates, as in Python.
  local function is_utf8(text)
    for _, character in ipairs({
      "[\194-\223][\128-\191]", "\224[\160-\191][\128-\191]", "\237[\128-\159][\128-\191]",
      "[\225-\236\238\239][\128-\191][\128-\191]", "\240[\144-\191][\128-\191][\128-\191]",
      "\244[\128-\143][\128-\191][\128-\191]", "[\241-\243][\128-\191][\128-\191][\128-\191]",
    }) do
      text = gsub(text, character, ".")
    end
    return not find(text, "[\128-\255]")
  end

  -- The big-endian number in `width` bytes, at most 4; nil where raw ends before.
  local function unsigned(raw, at, width)
    local number = 0
    for i = at, at + width - 1 do
      local b = byte(raw, i)
      if not b then return nil end
      number = number * 256 + b
    end
    return number
  end

  -- The str that begins at a byte of raw, and the place after it.
  local function str_at(raw, at)
    local b, length = byte(raw, at), nil
    if b and b >= 0xa0 and b <= 0xbf then
      length = b - 0xa0
    elseif b and b >= 0xd9 and b <= 0xdb then
      local width = 2 ^ (b - 0xd9)
      length, at = unsigned(raw, at + 1, width), at + width
    end
    if not length or at + length > #raw then return nil end
    return sub(raw, at + 1, at + length), at + length + 1
  end

  local function whole_str(raw)
    local text, after = str_at(raw, 1)
    return text and after == #raw + 1 and (not find(text, "[\128-\255]") or is_utf8(text)) and text or nil
  end

  -- What follows is defined when it is first wanted: most scripts never do, and a definition costs at every call.
  local READ, integer, floating, tagged, extension = {}, nil, nil, nil, nil

  local function wrappings()
    -- The text of a tagged map of 1.x, its two keys in either order.
    tagged = function(raw, tag)
      if byte(raw, 1) ~= 0x82 then return nil end
      local first, at = str_at(raw, 2)
      local text, second
      if first == tag and byte(raw, at) == 0xc3 then
        second, at = str_at(raw, at + 1)
        if second == "as_encodable" then text, at = str_at(raw, at) end
      elseif first == "as_encodable" then
        text, at = str_at(raw, at)
        if text then second, at = str_at(raw, at) end
        if second ~= tag or byte(raw, at) ~= 0xc3 then return nil end
        at = at + 1
      end
      return text and at == #raw + 1 and text or nil
    end

    -- The payload of an extension type: fixed lengths of 1 to 16, or a length in 1 or 2 bytes.
    extension = function(raw, code)
      local b, length, at = byte(raw, 1), nil, 2
      if b >= 0xd4 and b <= 0xd8 then
        length = 2 ^ (b - 0xd4)
      elseif b == 0xc7 or b == 0xc8 then
        length, at = unsigned(raw, 2, b - 0xc6), b - 0xc4
      end
      if length and byte(raw, at) == code and #raw == at + length then return sub(raw, at + 1) end
      return nil
    end
  end

  local function numbers()
    local format = string.format
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

    -- The nearest double and the exact digits of a msgpack int.
    integer = function(raw)
      local b, number = byte(raw, 1), nil
      if #raw == 1 and (b <= 0x7f or b >= 0xe0) then
        number = b <= 0x7f and b or b - 256
      elseif b >= 0xcc and b <= 0xd3 and #raw == 1 + 2 ^ (b % 4) then
        local width, signed = 2 ^ (b % 4), b >= 0xd0 and byte(raw, 2) >= 128
        number = unsigned(raw, 2, width < 4 and width or 4) - (signed and 2 ^ (width < 4 and 8 * width or 32) or 0)
        -- one rounding, as in Python's float(); 2^32 is a float in every Lua
        if width == 8 then number = number * 2 ^ 32 + unsigned(raw, 6, 4) end
        if number >= 2 ^ 53 or number <= -2 ^ 53 then return number, wide_digits(signed, byte(raw, 2, 9)) end
      end
      return number, number and format("%.0f", number)
    end

    floating = function(raw)
      local b1, b2, b3, b4, b5, b6, b7, b8 = byte(raw, 2, 9)
      local exponent, mantissa, bits, largest
      if #raw == 9 and byte(raw, 1) == 0xcb then
        bits, largest, exponent = 52, 2047, (b1 % 128) * 16 + (b2 - b2 % 16) / 16
        mantissa = (((b2 % 16) * 256 + b3) * 256 + b4) * 2 ^ 32 + ((b5 * 256 + b6) * 256 + b7) * 256 + b8
      elseif #raw == 5 and byte(raw, 1) == 0xca then
        bits, largest, exponent = 23, 255, (b1 % 128) * 2 + (b2 - b2 % 128) / 128
        mantissa = ((b2 % 128) * 256 + b3) * 256 + b4
      else
        return nil
      end
      local number = 1 / 0
      if exponent == largest and mantissa ~= 0 then return 0 / 0 end
      if exponent < largest then
        number = exponent == 0 and mantissa or mantissa + 2 ^ bits
        number = number * 2 ^ ((exponent == 0 and 1 or exponent) - (largest - 1) / 2 - bits)
      end
      return b1 >= 128 and -number or number
    end
  end

  local function number_texts()
    local format, match, rep = string.format, string.match, string.rep
    if not tagged then wrappings() end
    if not integer then numbers() end

    local function marked(text) return (gsub(text, "[/'?*^%[%]%-]", "/%0")) end

    -- The fewest digits that read back as a positive number, and its point: number = 0.digits * 10^point.
    local function shortest(number)
      local text
      -- Fewer than 15 digits are the 15 without their zeros, but for the short doubles below 2^-1022.
      for precision = number < 2 ^ -1022 and 1 or 15, 17 do
        text = format("%." .. format("%d", precision - 1) .. "e", number)
        if tonumber(text) == number then break end
        if precision == 16 then
          -- At a power of two the doubles above are twice as far apart: the next decimal up may be right.
          local lead, digits, exponent = match(text, "^(%d)%.(%d+)(e.+)$")
          text = gsub(format("%.0f", tonumber(lead .. digits) + 1), "^%d", "%0.") .. exponent
          if tonumber(text) == number then break end
        end
      end
      local lead, digits, exponent = match(text, "^(%d)%.?(%d*)e(.+)$")
      return gsub(lead .. digits, "0+$", ""), tonumber(exponent) + 1
    end

    -- Digits with the decimal point after the first `point` of them.
    local function fixed(digits, point)
      if point <= 0 then return "0." .. rep("0", -point) .. digits end
      if point >= #digits then return digits .. rep("0", point - #digits) end
      return sub(digits, 1, point) .. "." .. sub(digits, point + 1)
    end

    -- Python's repr of a float.
    local function float_text(number)
      if number ~= number then return "nan" end
      if number == 0 then return 1 / number < 0 and "-0.0" or "0.0" end
      if number < 0 then return "-" .. float_text(-number) end
      if number == 1 / 0 then return "inf" end
      local digits, point = shortest(number)
      if point > 16 or point < -3 then return fixed(digits, 1) .. "e" .. format("%+03d", point - 1) end
      return fixed(digits, point) .. (point >= #digits and ".0" or "")
    end

    -- The canonical text of a Decimal, and Python's str() of it.
    local function decimal_texts(text)
      local sign, whole, fraction, rest = match(text, "^([+-]?)(%d*)%.?(%d*)(.*)$")
      if sign == "+" then sign = "" end
      if whole == "" and fraction == "" then
        local word = string.upper(rest)
        local signal, payload = match(word, "^(S?)NAN0*(%d*)$")
        if find(text, ".", 1, true) or not (signal or word == "INF" or word == "INFINITY") then return nil end
        word = sign .. (signal and gsub(signal, "S", "s") .. "NaN" .. payload or "Infinity")
        return word, word
      end
      local exponent = match(rest, "^[eE]([+-]?%d+)$")
      -- 15 digits: an exponent must stay exact as a double
      if rest ~= "" and not (exponent and #exponent <= 16) then return nil end
      exponent = (exponent and tonumber(exponent) or 0) - #fraction
      local digits = match(whole .. fraction, "^0*(%d+)$")
      local point, legacy = exponent + #digits, nil
      if exponent <= 0 and point > -6 then
        legacy = fixed(digits, point)
      else
        legacy = fixed(digits, 1) .. (point == 1 and "" or format("E%+.0f", point - 1))
      end
      if digits == "0" then return "0", sign .. legacy end
      digits = gsub(digits, "0+$", "")
      exponent = point - #digits
      if exponent >= -40 and exponent <= 40 then return sign .. fixed(digits, point), sign .. legacy end
      return sign .. digits .. format("E%.0f", exponent), sign .. legacy
    end

    function READ.i(raw)
      -- 1.x let a bool pass as an int; its increments wrote large ints as floats
      if raw == "\195" then return "1", "True" end
      if raw == "\194" then return "0", "False" end
      local _, digits = integer(raw)
      local number = not digits and floating(raw)
      if number then
        digits = number == 0 and "0" or number % 1 == 0 and format("%.0f", number)
      end
      return parts(digits or match(extension(raw, 1) or "", "^%-?[1-9]%d*$"))
    end

    function READ.f(raw)
      local number = value_number(raw)
      local text = number and marked(float_text(number)) or nil
      return number == 0 and "0.0" or text, text
    end

    function READ.D(raw)
      local _, digits = integer(raw)
      local number = not digits and floating(raw)
      local text = digits or number and float_text(number) or tagged(raw, "__Decimal__")
      if not text then return nil, nil end
      local canonical, legacy = decimal_texts(text)
      return canonical and marked(canonical), canonical and marked(legacy)
    end
  end

  local function moments()
    local match, rep = string.match, string.rep
    if not tagged then wrappings() end
    local MONTH_DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

    -- 1.x wrote the year 999 unpadded: the year is what precedes the last four digits.
    local function day_text(stamp)
      local y, m, d = match(stamp, "^(%d+)%-?(%d%d)%-?(%d%d)$")
      if not y or #y > 4 then return nil end
      local year, month, day = tonumber(y), tonumber(m), tonumber(d)
      local days = MONTH_DAYS[month]
      if month == 2 and year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) then days = 29 end
      if not days or year < 1 or day < 1 or day > days then return nil end
      return rep("0", 4 - #y) .. y .. "-" .. m .. "-" .. d
    end

    -- What precedes and what follows hours, minutes and seconds.
    local function clock(text)
      local before, hour, minute, second, after = match(text, "^(.-)(%d%d):(%d%d):(%d%d)(.*)$")
      if hour and hour < "24" and minute < "60" and second < "60" then return before, after end
      return nil
    end

    -- 1.x's stamp: always six digits of a second, no zone.
    local function stamped_time(stamp)
      local before, after = clock(stamp)
      if before ~= "" or not find(after, "^%.%d%d%d%d%d%d$") then return nil end
      return (gsub(stamp, "%.000000$", ""))
    end

    local function stamped_datetime(stamp)
      local day, time = match(stamp, "^(%d+)T(.+)$")
      day = day and day_text(day)
      time = day and stamped_time(time)
      return time and day .. " " .. time
    end

    -- The ISO text in an extension type; Python's str() of a time is the same text.
    local function iso_time(text)
      local before, after = clock(text)
      if before ~= "" or find(text, ".000000", 1, true) then return nil end
      after = match(after, "^%.%d%d%d%d%d%d(.*)$") or after
      if after == "" then return text end
      if after == "-00:00" or find(after, ":%d%d:00$") then return nil end
      if find(after, "^[+-]%d%d:%d%d$") then after = after .. ":00" end
      local sign, fraction = clock(after)
      local offset = sign and find(sign, "^[+-]$") and (fraction == "" or find(fraction, "^%.%d%d%d%d%d%d$"))
      return offset and text or nil
    end

    -- The text of a moment with a zone or a fold: `2024-01-02T03:04:05+01:00;zone=Europe/Paris;fold=1`.
    local function extended_moment(raw, code)
      local text = extension(raw, code)
      if not text or not is_utf8(text) then return nil end
      local iso, rest = match(text, "^([^;]*)(.*)$")
      rest = gsub(rest, ";fold=1$", "")
      if rest ~= "" and not find(rest, "^;zone=[^;]+$") then return nil end
      if code == 5 then return iso_time(iso) end
      local day, time = match(iso, "^(%d%d%d%d%-%d%d%-%d%d)T(.+)$")
      time = day and day_text(day) and iso_time(time)
      return time and day .. " " .. time or nil
    end

    function READ.d(raw)
      local stamp = tagged(raw, "__date__")
      return parts(stamp and find(stamp, "^%d+$") and day_text(stamp))
    end

    function READ.t(raw)
      local stamp = tagged(raw, "__datetime__")
      if stamp then return parts(stamped_datetime(stamp)) end
      return parts(extended_moment(raw, 3))
    end

    function READ.T(raw)
      local stamp = tagged(raw, "__time__")
      if stamp then return parts(stamped_time(stamp)) end
      return parts(extended_moment(raw, 5))
    end
  end

  value_number = function(raw)
    if not raw or raw == "" then return nil end
    if not integer then numbers() end
    return (integer(raw)) or floating(raw)
  end

  text_part = parts

  -- Marks come in pairs with what they mark, so a colon that is made here is marked by none.
  part_text = function(part)
    if not find(part, "[/{]") then return part end
    return (gsub(gsub(part, "{&#58;}", ":"), "/(.)", "%1"))
  end

  value_text = function(kind, raw)
    if not raw or raw == "" then return nil, nil end
    if raw == "\192" and kind ~= "x" then return "None", "None" end
    if kind == "s" then return parts(whole_str(raw)) end
    if kind == "r" then
      local text = whole_str(raw)
      return text, text
    end
    if kind == "b" then
      local text = raw == "\195" and "True" or raw == "\194" and "False" or nil
      return text, text
    end
    if (kind == "i" or kind == "f" or kind == "D") and not READ.i then
      number_texts()
    elseif (kind == "d" or kind == "t" or kind == "T") and not READ.d then
      moments()
    end
    local read = READ[kind]
    if not read then return nil, nil end
    return read(raw)
  end

  plain_text = function(kind, raw)
    if kind == "s" then return raw ~= "" and whole_str(raw) or nil end
    local part = value_text(kind, raw)
    return part and part_text(part)
  end
end
