-- Finds the rows whose text scores highest for some words, among those that satisfy a tree of sources; exact.
-- KEYS: 1 the class set; the sources' keys in order; P:n, P:total, P:avgdl, P:analyzer, P:dl; P:inv and P:imp of each word.
-- ARGV: the base key P; the analyser's name; k1; b; rows to return; the score and the key of a row behind which they
--   begin, or two empty texts; postings to look at; 1 to give what each word adds; number of fields and the fields to
--   give; the tree of sources as sources.lua reads it and its schema as entries.lua does; number of words and the words;
--   what an earlier call has found: number of rows and of each key and score; number of streams, and of each word,
--   count and how many were read.
-- Returns {1, rows, idfs} when it is certain, each row {key, score, values, what each word adds}; or {0, the rows so far
--   as {key, score, ...}, the streams as {word, count, read, ...}} to go on with. Error: ANALYZER name, when the index was
--   made by another.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.queries texts.lua
-- include: popoto.queries sources.lua
-- include: popoto.queries judging.lua
-- include: popoto.queries rows.lua
-- include: popoto.fields.bm25_field postings.lua
local MOST_WORDS = 64
local base, name, k1, b, most = take(), take(), tonumber(take()), tonumber(take()), tonumber(take())
local after_score, after_key, budget, explaining = tonumber(take()), take(), tonumber(take()), take() == '1'
local names = take_names()
local root = take_source()
local schema = take_schema()
index_sources(schema)
local has_sources = root.kind ~= 'A' or #root.branches > 0

local documents = tonumber(redis.call('GET', take_key()) or 0)
local total, mean = redis.call('GET', take_key()), redis.call('GET', take_key())
local signed, lengths_key = redis.call('GET', take_key()), take_key()
if not signed and documents > 0 then
  signed = 'simple'
end
if signed and signed ~= name then
  return redis.error_reply('ANALYZER ' .. signed)
end
local average = total and documents > 0 and total / documents or tonumber(mean or 0)

local words = {}
for place = 1, tonumber(take()) do
  local word = {text = take(), documents = take_key(), order = take_key(), streams = {}, top = 0}
  word.many = redis.call('ZCARD', word.documents)
  word.idf = math.log((documents - word.many + 0.5) / (word.many + 0.5) + 1)
  -- The statistics of another writer may lag behind its postings.
  if word.many > 0 and word.idf > 0 and average > 0 then
    words[#words + 1] = word
  end
end
if #words > MOST_WORDS then
  table.sort(words, function(one, other)
    return one.many < other.many
  end)
  for place = #words, MOST_WORDS + 1, -1 do
    words[place] = nil
  end
end

local function saturation(count, length)
  return count * (k1 + 1) / (count + k1 * (1 - b + b * length / average))
end

local function is_better(score, key, than_score, than_key)
  return score > than_score or (score == than_score and precedes(key, than_key))
end

local best, held = {}, {}
local function hold(key, score)
  best[#best + 1] = {key = key, score = score}
  held[key] = true
end
for place = 1, tonumber(take()) do
  local key = take()
  hold(key, tonumber(take()))
end

local function trim()
  table.sort(best, function(one, other)
    return one ~= other and is_better(one.score, one.key, other.score, other.key)
  end)
  for place = #best, most + 1, -1 do
    held[best[place].key] = nil
    best[place] = nil
  end
end

local function is_wanted(key, score)
  local worst = best[most]
  return not held[key] and (not worst or is_better(score, key, worst.score, worst.key))
    and (not after_score or is_better(after_score, after_key, score, key))
end

local function is_living(key)
  local row = read_row(key, schema)
  row.key = key
  return redis.call('EXISTS', key) == 1 and confirmed(root, row)
end

-- Scores members whose counts of the words are known, and holds those that are among the best so far.
local function score_all(members, lengths, counts)
  local chosen, scores = {}, {}
  for place, key in ipairs(members) do
    local score, length = 0, lengths[place]
    for number = 1, length and #words or 0 do
      local count = tonumber(counts[number][place] or nil)
      if count then
        score = score + words[number].idf * saturation(count, length)
      end
    end
    if score > 0 and is_wanted(key, score) then
      chosen[#chosen + 1], scores[#scores + 1] = key, score
    end
  end
  local good = has_sources and #chosen > 0 and flags(chosen, root)
  for place, key in ipairs(chosen) do
    if (not good or good[place]) and not held[key] and is_living(key) then
      hold(key, scores[place])
    end
  end
  trim()
end

local function numbers(replies)
  for place, reply in ipairs(replies) do
    replies[place] = reply and tonumber(reply)
  end
  return replies
end

-- Streams: the documents of a word with one count, by P:imp; of a word without it all, by count.
local function look_ahead(word, stream)
  local at = stream.first + stream.read
  stream.key, stream.bound = nil, 0
  if stream.read >= stream.size then
    return
  end
  if stream.count == 0 then
    local head = redis.call('ZREVRANGE', word.documents, at, at, 'WITHSCORES')
    local count = tonumber(head[2] or 0)
    -- No text is shorter than the count of one of its words.
    stream.key, stream.bound = '', count > 0 and word.idf * saturation(count, count) or 0
  else
    local head = redis.call('ZRANGE', word.order, at, at, 'WITHSCORES')
    local count, length = of_impact(tonumber(head[2] or 0))
    stream.key, stream.bound = head[1] or '', count > 0 and word.idf * saturation(count, length) or 0
  end
end

local function add_stream(word, count, first, size)
  local stream = {word = word, count = count, first = first, size = size, read = 0, step = 16}
  word.streams[#word.streams + 1] = stream
  return stream
end

local function open_streams(word)
  if redis.call('ZCARD', word.order) ~= word.many then
    add_stream(word, 0, 0, word.many)
    return
  end
  local rank = 0
  while rank < word.many do
    local count = of_impact(tonumber(redis.call('ZRANGE', word.order, rank, rank, 'WITHSCORES')[2]))
    local low = -count * SPAN
    local size = redis.call('ZCOUNT', word.order, string.format('%.0f', low), string.format('(%.0f', low + SPAN))
    add_stream(word, count, rank, size)
    rank = rank + size
  end
end

-- Reads on in a stream: its next members, their lengths and counts.
local function read_on(stream)
  local word, members, lengths, own = stream.word, {}, {}, {}
  local first = stream.first + stream.read
  local last = first + math.min(stream.step, stream.size - stream.read) - 1
  local command = stream.count == 0 and 'ZREVRANGE' or 'ZRANGE'
  local flat = redis.call(command, stream.count == 0 and word.documents or word.order, first, last, 'WITHSCORES')
  for place = 1, #flat, 2 do
    members[#members + 1] = flat[place]
    if stream.count == 0 then
      own[#own + 1] = tonumber(flat[place + 1])
    else
      own[#own + 1], lengths[#lengths + 1] = of_impact(tonumber(flat[place + 1]))
    end
  end
  stream.read = stream.read + last - first + 1
  stream.step = math.min(256, stream.step * 2)
  if stream.count == 0 and #members > 0 then
    lengths = numbers(redis.call('ZMSCORE', lengths_key, unpack(members)))
  end
  return members, lengths, own
end

local function consume(stream)
  local members, lengths, own = read_on(stream)
  look_ahead(stream.word, stream)
  budget = budget - #members * #words
  local others, worst = 0, best[most]
  for _, word in ipairs(words) do
    others = others + (word ~= stream.word and word.top or 0)
  end
  local hopeful = not worst
  for place = 1, worst and #members or 0 do
    local length = lengths[place]
    -- A hair more, for sums in another order.
    hopeful = hopeful or (length and (stream.word.idf * saturation(own[place], length) + others) * (1 + 1e-12) >= worst.score)
  end
  if #members == 0 or not hopeful then
    return
  end
  local counts = {}
  for number, word in ipairs(words) do
    counts[number] = word == stream.word and own or redis.call('ZMSCORE', word.documents, unpack(members))
  end
  score_all(members, lengths, counts)
end

-- What no document that was not read can surpass: a score, and at that score a key. And the stream to read on in.
local function outlook()
  local bound, key, following = 0, '', nil
  for _, word in ipairs(words) do
    local top, first = 0, nil
    for _, stream in ipairs(word.streams) do
      if stream.bound > top then
        top, first = stream.bound, stream.key
      elseif stream.bound == top and top > 0 and precedes(stream.key, first) then
        first = stream.key
      end
      -- A short list first: once it is read it adds nothing to what others could have.
      local rank = stream.bound > 0 and (stream.count == 0 and stream.size <= 8 * MANY and math.huge or stream.bound) or 0
      if rank > 0 and (not following or rank > following.rank) then
        stream.rank, following = rank, stream
      end
    end
    bound = bound + top
    if top > 0 and precedes(key, first) then
      key = first
    end
  end
  return bound, key, following
end

local function is_certain(bound, key)
  local worst = best[most]
  return bound == 0 or (worst and is_better(worst.score, worst.key, bound, key))
end

-- A few rows that satisfy the sources are all scored; among many the best are looked for.
local function few_rows()
  if not has_sources or #words == 0 then
    return false
  end
  measured(root)
  local postings = 0
  for _, word in ipairs(words) do
    postings = postings + word.many
  end
  for _, walk in ipairs(root.walks) do
    if walk.kind ~= 'K' and walk.kind ~= 'S' and walk.kind ~= 'Z' then
      return false
    end
  end
  local size = root.size
  return size < postings and size * #words <= 40000 and (size <= 500 or size * size <= 4 * most * documents)
end

local function score_sources()
  for _, walk in ipairs(root.walks) do
    for place, key in ipairs(walk.kind == 'K' and {''} or walk.keys) do
      local members = walk.kind == 'K' and walk.keys or walk.kind == 'S' and redis.call('SMEMBERS', key)
        or redis.call('ZRANGE', key, walk.from, walk.to, 'BYSCORE')
      for first = 1, #members, 500 do
        local some = {unpack(members, first, math.min(first + 499, #members))}
        local lengths, counts = numbers(redis.call('ZMSCORE', lengths_key, unpack(some))), {}
        for number, word in ipairs(words) do
          counts[number] = redis.call('ZMSCORE', word.documents, unpack(some))
        end
        score_all(some, lengths, counts)
      end
    end
  end
end

local reading = {}
for number = 1, tonumber(take()) do
  local text, count = take(), take()
  reading[text .. '\n' .. count] = tonumber(take())
end
trim()
if few_rows() then
  score_sources()
else
  for _, word in ipairs(words) do
    open_streams(word)
    for _, stream in ipairs(word.streams) do
      look_ahead(word, stream)
      word.top = math.max(word.top, stream.bound)
      local read = reading[word.text .. '\n' .. stream.count]
      if read then
        stream.read, stream.step = math.min(read, stream.size), 256
        look_ahead(word, stream)
      end
    end
  end
  local bound, key, following = outlook()
  while not is_certain(bound, key) do
    if budget <= 0 then
      local rows, streams = {}, {}
      for _, one in ipairs(best) do
        rows[#rows + 1], rows[#rows + 2] = one.key, string.format('%.17g', one.score)
      end
      for _, word in ipairs(words) do
        for _, stream in ipairs(word.streams) do
          streams[#streams + 1], streams[#streams + 2], streams[#streams + 3] = word.text, stream.count, stream.read
        end
      end
      return {0, rows, streams}
    end
    consume(following)
    bound, key, following = outlook()
  end
end

local idfs = {}
for number, word in ipairs(words) do
  idfs[2 * number - 1], idfs[2 * number] = word.text, string.format('%.17g', word.idf)
end
local rows = {}
for place, one in ipairs(best) do
  local parts = {}
  local length = explaining and tonumber(redis.call('ZSCORE', lengths_key, one.key) or nil)
  for number = 1, length and #words or 0 do
    local count = tonumber(redis.call('ZSCORE', words[number].documents, one.key) or nil)
    parts[number] = string.format('%.17g', count and saturation(count, length) or 0)
  end
  local values = #names > 0 and row_values(one.key, names, one.key) or {one.key}
  table.remove(values, 1)
  rows[place] = {one.key, string.format('%.17g', one.score), values, parts}
end
return {1, rows, idfs}
