-- The postings of BM25: which documents a word is in, and in which order they can score.
-- A prelude. P is the index's base key; P:inv:{word} holds documents by the word's count, P:dl by their length.
--
-- P:imp:{word} holds the same documents by length - count * SPAN. Among those with one count the shorter text scores
-- higher, whatever the mean length is: so each count is a stream whose scores only fall, ties by key. Only words in
-- more than MANY documents have it; it serves when it holds as many documents as P:inv:{word}.
--
-- impact(count, length)            a document's place in P:imp
-- of_impact(place)                 count and length
-- impose(base, word, first, last, looking)  puts documents first to last of P:inv into P:imp, unless it is only looking;
--   returns members and their lengths
local MANY, SPAN = 256, 4294967296

local function impact(count, length)
  return string.format('%.0f', length - count * SPAN)
end

local function of_impact(place)
  local count = -math.floor(place / SPAN)
  return count, place + count * SPAN
end

local function impose(base, word, first, last, looking)
  local flat = redis.call('ZRANGE', base .. ':inv:' .. word, first, last, 'WITHSCORES')
  local members, counts, lengths = {}, {}, {}
  for place = 1, #flat, 2 do
    members[#members + 1], counts[#counts + 1] = flat[place], tonumber(flat[place + 1])
  end
  -- 1 000: unpack() overflows near 8 000.
  for start = 1, #members, 1000 do
    local stop = math.min(start + 999, #members)
    local command = {'ZADD', base .. ':imp:' .. word}
    for place, length in ipairs(redis.call('ZMSCORE', base .. ':dl', unpack(members, start, stop))) do
      local member = start + place - 1
      lengths[member] = tonumber(length or nil)
      if length then
        command[#command + 1] = impact(counts[member], lengths[member])
        command[#command + 1] = members[member]
      end
    end
    if #command > 2 and not looking then
      redis.call(unpack(command))
    end
  end
  return members, lengths
end
