-- Msgpack maps: their entries as bytes, so that one is replaced and the others stay what they are.
-- A prelude: it reads no KEYS and no ARGV.
--
-- map_items(raw)    the bytes of each value by its key, and the keys in order; nil where raw is no map with texts for keys
-- map_bytes(items, keys)  the map of these keys, in order, with these bytes; a key without any is left out
-- str_bytes(text)   a text as msgpack
local map_items, map_bytes, str_bytes
do
  local byte, char, floor, sub = string.byte, string.char, math.floor, string.sub

  -- Of each first byte from 0xc4 on: bytes that follow, width of a length, and whether the length counts items or pairs.
  local FIXED = {
    [0xca] = 4, [0xcb] = 8, [0xcc] = 1, [0xcd] = 2, [0xce] = 4, [0xcf] = 8, [0xd0] = 1, [0xd1] = 2, [0xd2] = 4,
    [0xd3] = 8, [0xd4] = 2, [0xd5] = 3, [0xd6] = 5, [0xd7] = 9, [0xd8] = 17,
  }
  local SIZED = {[0xc4] = 1, [0xc5] = 2, [0xc6] = 4, [0xd9] = 1, [0xda] = 2, [0xdb] = 4}
  local EXTENDED = {[0xc7] = 1, [0xc8] = 2, [0xc9] = 4}
  local COUNTED = {[0xdc] = 2, [0xdd] = 4, [0xde] = 2, [0xdf] = 4}

  local function unsigned(raw, at, width)
    local number = 0
    for place = at, at + width - 1 do
      number = number * 256 + (byte(raw, place) or 0)
    end
    return number
  end

  -- The place after the head of an item and its own bytes, and how many items it holds.
  local function past_head(raw, at)
    local first = byte(raw, at)
    if not first or first == 0xc1 then return nil, 0 end
    if first <= 0x7f or first >= 0xe0 or first == 0xc0 or first == 0xc2 or first == 0xc3 then return at + 1, 0 end
    if first <= 0x8f then return at + 1, 2 * (first - 0x80) end
    if first <= 0x9f then return at + 1, first - 0x90 end
    if first <= 0xbf then return at + 1 + first - 0xa0, 0 end
    if FIXED[first] then return at + 1 + FIXED[first], 0 end
    local width = SIZED[first] or EXTENDED[first]
    if width then return at + 1 + width + unsigned(raw, at + 1, width) + (EXTENDED[first] and 1 or 0), 0 end
    width = COUNTED[first]
    return at + 1 + width, unsigned(raw, at + 1, width) * (first >= 0xde and 2 or 1)
  end

  -- The place after a whole item; nil where raw ends before it does.
  local function past(raw, at)
    local left = 1
    while left > 0 do
      local held
      at, held = past_head(raw, at)
      if not at or at > #raw + 1 then return nil end
      left = left - 1 + held
    end
    return at
  end

  local function text_at(raw, at)
    local first, width = byte(raw, at), nil
    if first and first >= 0xa0 and first <= 0xbf then
      width = 0
    elseif first and first >= 0xd9 and first <= 0xdb then
      width = SIZED[first]
    end
    local after = width and past(raw, at)
    if not after then return nil end
    return sub(raw, at + 1 + width, after - 1), after
  end

  map_items = function(raw)
    local first = raw and byte(raw, 1)
    if not first or not (first >= 0x80 and first <= 0x8f or first == 0xde or first == 0xdf) then return nil end
    local at, count = past_head(raw, 1)
    local items, keys = {}, {}
    for number = 1, count / 2 do
      local key, value_at = text_at(raw, at)
      local after = key and past(raw, value_at)
      if not after then return nil end
      items[key], keys[number], at = sub(raw, value_at, after - 1), key, after
    end
    return items, keys
  end

  local function head(count, fixed, most, wide)
    if count <= most then return char(fixed + count) end
    return char(wide, floor(count / 256), count % 256)
  end

  str_bytes = function(text)
    return head(#text, 0xa0, 31, 0xda) .. text
  end

  map_bytes = function(items, keys)
    local parts = {}
    for _, key in ipairs(keys) do
      if items[key] then parts[#parts + 1] = str_bytes(key) .. items[key] end
    end
    return head(#parts, 0x80, 15, 0xde) .. table.concat(parts)
  end
end
