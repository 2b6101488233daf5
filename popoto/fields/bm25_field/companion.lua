-- BM25: a row's text as a document of an inverted index, with the statistics that its formula needs.
-- Stores: 1 P:dl, documents by length; 2 P:tf:{row}, its words by count. Settled: the analyser's name. Said: each word
-- and its count. P:df has words by their number of documents; P:n, P:total and P:avgdl are numbers of documents, of words
-- and of words in a document; P:analyzer names who made the words, `?` for several; P:rebuild does so during a rebuild,
-- and P:recount is there while they are counted and nothing has changed.
do
-- include: popoto.fields.bm25_field postings.lua
  -- A save gives so many words their impact order at most; the next one goes on.
  local BUILDS = 32

  local function keep(base, word, key, count, length, left)
    local documents, order = base .. ':inv:' .. word, base .. ':imp:' .. word
    redis.call('ZADD', documents, count, key)
    local many = redis.call('ZCARD', documents)
    redis.call('ZADD', base .. ':df', many, word)
    if many > MANY or (many > MANY / 2 and redis.call('EXISTS', order) == 1) then
      redis.call('ZADD', order, impact(count, length), key)
      if many > MANY and many <= 8 * MANY and left > 0 and redis.call('ZCARD', order) < many then
        impose(base, word, 0, -1)
        return left - 1
      end
    end
    return left
  end

  local function remove(base, word, key)
    local documents, order = base .. ':inv:' .. word, base .. ':imp:' .. word
    redis.call('ZREM', documents, key)
    local many = redis.call('ZCARD', documents)
    if many > 0 then
      redis.call('ZADD', base .. ':df', many, word)
    else
      redis.call('ZREM', base .. ':df', word)
    end
    if many > MANY / 2 then
      redis.call('ZREM', order, key)
    else
      redis.call('DEL', order)
    end
  end

  local function count(base, documents, words)
    redis.call('DEL', base .. ':recount')
    local known = redis.call('GET', base .. ':total')
    if not known then
      -- 1.x kept the mean alone, with 14 digits.
      known = (redis.call('GET', base .. ':n') or 0) * (redis.call('GET', base .. ':avgdl') or 0)
      redis.call('SET', base .. ':total', string.format('%.0f', known))
    end
    local total = redis.call('INCRBY', base .. ':total', string.format('%.0f', words))
    local number = redis.call('INCRBY', base .. ':n', documents)
    if number > 0 then
      redis.call('SET', base .. ':avgdl', string.format('%.14g', total / number))
    else
      redis.call('DEL', base .. ':n', base .. ':total', base .. ':avgdl', base .. ':analyzer')
    end
  end

  local function sign(base, name, reindexing)
    local rebuilding = redis.call('GET', base .. ':rebuild')
    if rebuilding and rebuilding ~= name then
      redis.call('SET', base .. ':rebuild', '?')
    end
    local known = redis.call('GET', base .. ':analyzer')
    if not known and tonumber(redis.call('GET', base .. ':n') or 0) > 0 then
      known = 'simple'
    end
    if not reindexing or not known then
      redis.call('SET', base .. ':analyzer', (not known or known == name) and name or '?')
    end
  end

  local function words_of(key)
    local flat, found, length = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), {}, 0
    for place = 1, #flat, 2 do
      found[flat[place]] = tonumber(flat[place + 1])
      length = length + found[flat[place]]
    end
    return found, length
  end

  local function write_own(key, said)
    redis.call('DEL', key)
    for first = 1, #said, 2000 do
      local command = {'ZADD', key}
      for place = first, math.min(first + 1999, #said), 2 do
        command[#command + 1], command[#command + 2] = said[place + 1], said[place]
      end
      redis.call(unpack(command))
    end
  end

  local function save(one, event)
    if not one.said then
      return
    end
    local base, own = one.stores[1].before, store_key(one, 2, '', event.key)
    local reindexing, key, left = event.op == 'reindex', event.key, BUILDS
    local former, former_length = words_of(own)
    local known = redis.call('ZSCORE', base .. ':dl', key)
    local given, length = {}, 0
    for place = 1, #one.said, 2 do
      given[one.said[place]] = tonumber(one.said[place + 1])
      length = length + given[one.said[place]]
    end
    if length > 0 then
      sign(base, one.settled[1], reindexing)
      redis.call('ZADD', base .. ':dl', length, key)
    elseif known then
      redis.call('ZREM', base .. ':dl', key)
    end
    for word in pairs(former) do
      if not given[word] then
        remove(base, word, key)
      end
    end
    -- In the order in which they were said: the same writes wherever the script runs again.
    for place = 1, #one.said, 2 do
      local word = one.said[place]
      if reindexing or former[word] ~= given[word] then
        left = keep(base, word, key, given[word], length, left)
      elseif former_length ~= length then
        redis.call('ZADD', base .. ':imp:' .. word, 'XX', impact(given[word], length), key)
      end
    end
    write_own(own, one.said)
    local documents = (length > 0 and 1 or 0) - (known and 1 or 0)
    if documents ~= 0 or length ~= tonumber(known) then
      count(base, documents, length - (known or 0))
    end
  end

  local function leave(one, key)
    local base, own = one.stores[1].before, store_key(one, 2, '', key)
    for word in pairs(words_of(own)) do
      remove(base, word, key)
    end
    local length = redis.call('ZSCORE', base .. ':dl', key)
    if length then
      count(base, -1, -length)
    end
  end

  local function move(one, from_key, to_key)
    local base, from = one.stores[1].before, store_key(one, 2, '', from_key)
    local length = redis.call('ZSCORE', base .. ':dl', from_key)
    if not length then
      return
    end
    redis.call('DEL', base .. ':recount')
    redis.call('ZREM', base .. ':dl', from_key)
    redis.call('ZADD', base .. ':dl', length, to_key)
    for word, times in pairs(words_of(from)) do
      redis.call('ZREM', base .. ':inv:' .. word, from_key)
      redis.call('ZADD', base .. ':inv:' .. word, times, to_key)
      if redis.call('ZREM', base .. ':imp:' .. word, from_key) == 1 then
        redis.call('ZADD', base .. ':imp:' .. word, impact(times, tonumber(length)), to_key)
      end
    end
    redis.call('RENAME', from, store_key(one, 2, '', to_key))
  end

  companion_kinds.bm25 = {save = save, leave = leave, move = move}
end
