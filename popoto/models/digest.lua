-- Composite index entries: the digest of several values under which a row's key is kept in a hash.
-- A prelude: it needs value_text() of values.lua. As 1.x: the first 16 hex digits of SHA-256 (FIPS 180-4) of the
-- values' texts, joined by a bare colon. Two rows may so share a digest and not a value: the second is kept under the
-- digest of its texts with their lengths.
--
-- is_composite(index)           C for a unique one, c for another; their fields are the partitions
-- composite_texts(index, row)   the values' texts; nil where one is missing, None or cannot be told
-- digest_of(texts)              the digest that 1.x used
-- measured_digest(texts)        the one with lengths, marked by a plus sign
-- composite_places(index, row)  both digests, where the row's key may be; none where it has no entry
-- composite_moves(indexes, before, after, source, row_key, former_key)  the commands that put a row's key where its values
--                               have it; nil and the fields when a living row has the same and they must be unique
local composite_texts, digest_of, measured_digest
local function is_composite(index)
  return index.kind == 'C' or index.kind == 'c'
end
do
  local floor = math.floor
  local MODULUS = 2 ^ 32
  -- Fractions of the cube roots of the first 64 primes, and of the square roots of the first 8.
  local ROUNDS = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  }
  local INITIAL = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  }

  local band, bnot, bxor, rotated, shifted, wrapped
  if bit then
    band, bnot, bxor, rotated, shifted, wrapped = bit.band, bit.bnot, bit.bxor, bit.ror, bit.rshift, bit.tobit
  else
    -- A nibble at a time: fakeredis has no bit library.
    local ands, xors = {}, {}
    for one = 0, 15 do
      for other = 0, 15 do
        local both, either, place, left, right = 0, 0, 1, one, other
        for _ = 1, 4 do
          local l, r = left % 2, right % 2
          both, either = both + place * l * r, either + place * ((l + r) % 2)
          left, right, place = (left - l) / 2, (right - r) / 2, place * 2
        end
        ands[one * 16 + other], xors[one * 16 + other] = both, either
      end
    end
    local function combined(known, one, other)
      local result, place = 0, 1
      for _ = 1, 8 do
        local left, right = one % 16, other % 16
        result = result + place * known[left * 16 + right]
        one, other, place = (one - left) / 16, (other - right) / 16, place * 16
      end
      return result
    end
    band = function(one, other) return combined(ands, one, other) end
    bnot = function(one) return MODULUS - 1 - one end
    bxor = function(one, other, third)
      local two = combined(xors, one, other)
      return third and combined(xors, two, third) or two
    end
    rotated = function(number, places)
      local low = number % 2 ^ places
      return (number - low) / 2 ^ places + low * 2 ^ (32 - places)
    end
    shifted = function(number, places) return floor(number / 2 ^ places) end
    wrapped = function(number) return number % MODULUS end
  end

  local function schedule(text, start)
    local words = {}
    for place = 1, 16 do
      local a, b, c, d = string.byte(text, start + place * 4 - 4, start + place * 4 - 1)
      words[place] = wrapped(((a * 256 + b) * 256 + c) * 256 + d)
    end
    for place = 17, 64 do
      local early, late = words[place - 15], words[place - 2]
      local one = bxor(rotated(early, 7), rotated(early, 18), shifted(early, 3))
      local two = bxor(rotated(late, 17), rotated(late, 19), shifted(late, 10))
      words[place] = wrapped(words[place - 16] + one + words[place - 7] + two)
    end
    return words
  end

  local function compressed(state, words)
    local a, b, c, d, e, f, g, h = unpack(state)
    for place = 1, 64 do
      local one = bxor(rotated(e, 6), rotated(e, 11), rotated(e, 25))
      local choice = bxor(band(e, f), band(bnot(e), g))
      local first = h + one + choice + ROUNDS[place] + words[place]
      local two = bxor(rotated(a, 2), rotated(a, 13), rotated(a, 22))
      local majority = bxor(band(a, b), band(a, c), band(b, c))
      h, g, f, e = g, f, e, wrapped(d + first)
      d, c, b, a = c, b, a, wrapped(first + two + majority)
    end
    for place, number in ipairs({a, b, c, d, e, f, g, h}) do
      state[place] = wrapped(state[place] + number)
    end
  end

  local function hexadecimal(text)
    local state, size = {}, #text * 8
    for place, number in ipairs(INITIAL) do
      state[place] = wrapped(number)
    end
    text = text .. '\128' .. string.rep('\0', (55 - #text) % 64) .. '\0\0\0' .. string.char(floor(size / 2 ^ 32) % 256,
      floor(size / 2 ^ 24) % 256, floor(size / 2 ^ 16) % 256, floor(size / 256) % 256, size % 256)
    for start = 1, #text, 64 do
      compressed(state, schedule(text, start))
    end
    return string.format('%08x%08x', state[1] % MODULUS, state[2] % MODULUS)
  end

  function composite_texts(index, row)
    local found = {}
    for place, part in ipairs(index.partitions) do
      local raw = row[part.field]
      local canonical, text = value_text(part.code, raw)
      if not text or raw == '\192' then
        return nil
      end
      -- 1.x hashes the values' own texts, not the key parts: take the escapes away. Only ours of texts can be.
      text = part.code == 's' and canonical or text
      if part.code ~= 'r' then
        text = string.gsub(string.gsub(text, '{&#58;}', ':'), '/(.)', '%1')
      end
      found[place] = text
    end
    return found
  end

  function digest_of(texts)
    return hexadecimal(table.concat(texts, ':'))
  end

  function measured_digest(texts)
    local measured = {}
    for place, text in ipairs(texts) do
      measured[place] = #text .. ':' .. text
    end
    return hexadecimal(table.concat(measured)) .. '+'
  end
end

local function composite_places(index, row)
  local texts = composite_texts(index, row)
  return texts and {digest_of(texts), measured_digest(texts)} or {}
end

local function same_texts(one, other)
  for place = 1, math.max(one and #one or 0, other and #other or 0) do
    if not one or not other or one[place] ~= other[place] then
      return false
    end
  end
  return one and other and true
end

-- Where an index keeps the row: nil when a living row has the same values and they must be unique.
local function composite_place(index, texts, source, row_key)
  local chosen
  for _, digest in ipairs({digest_of(texts), measured_digest(texts)}) do
    local holder = redis.call('HGET', index.base, digest)
    local living = holder and holder ~= source and holder ~= row_key
      and composite_texts(index, read_row(holder, {index}))
    if index.kind == 'C' and same_texts(living, texts) then
      return nil
    end
    if not chosen and (not living or index.kind == 'c') then
      chosen = digest
    end
  end
  return chosen
end

local function composite_moves(indexes, before, after, source, row_key, former_key)
  local moves = {}
  for _, index in ipairs(indexes) do
    if is_composite(index) then
      local texts = composite_texts(index, after)
      if former_key or not same_texts(composite_texts(index, before), texts) then
        for _, digest in ipairs(composite_places(index, before)) do
          if redis.call('HGET', index.base, digest) == source then
            moves[#moves + 1] = {'HDEL', index.base, digest}
          end
        end
      end
      local digest = texts and composite_place(index, texts, source, row_key)
      if digest then
        moves[#moves + 1] = {'HSET', index.base, digest, row_key}
      elseif texts then
        return nil, index.field
      end
    end
  end
  return moves
end
