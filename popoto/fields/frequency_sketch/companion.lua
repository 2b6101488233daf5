-- A Count-Min sketch of how many rows have a word. Stores: 1 P:cells, what each row has added, 2 P:next:cells, the same
-- for a sketch that rebuild_indexes fills. Settled: the sketch's shape, which ends in width and depth. Said: the row's
-- cells as one text: of each word its column in every row of the sketch, in as many bytes as the width needs.
-- P and P:next are hashes of counters by row and column; P:meta one of shape, next_shape, behind and next_behind.
do
  local function sizes(shape)
    local width, depth = string.match(shape, '(%d+) (%d+)$')
    width = tonumber(width)
    return width <= 256 and 1 or width <= 65536 and 2 or width <= 16777216 and 3 or 4, tonumber(depth)
  end

  -- The words of a text of cells, each once.
  local function words_of(cells, size, depth)
    local words = {}
    for first = 1, #cells, size * depth do
      words[string.sub(cells, first, first + size * depth - 1)] = true
    end
    return words
  end

  local function add(counters, word, size, amount)
    for first = 1, #word, size do
      local column = 0
      for place = first, first + size - 1 do
        column = column * 256 + string.byte(word, place)
      end
      local cell = string.format('%.0f:%.0f', (first - 1) / size, column)
      if redis.call('HINCRBY', counters, cell, amount) <= 0 then
        redis.call('HDEL', counters, cell)
      end
    end
  end

  -- Makes one row's part of a sketch just these cells: what it has already is not counted again.
  local function count(counters, kept, shape, key, cells)
    local size, depth = sizes(shape)
    local former = redis.call('HGET', kept, key) or ''
    if former == cells then
      return
    end
    local had, has = words_of(former, size, depth), words_of(cells, size, depth)
    for word in pairs(has) do
      if not had[word] then
        add(counters, word, size, 1)
      end
    end
    for word in pairs(had) do
      if not has[word] then
        add(counters, word, size, -1)
      end
    end
    if cells ~= '' then
      redis.call('HSET', kept, key, cells)
    else
      redis.call('HDEL', kept, key)
    end
  end

  local function save(one, event)
    if not one.said then
      return
    end
    local base, shape, cells = one.stores[1].before, one.settled[1], one.said[1]
    local meta = base .. ':meta'
    local known = redis.call('HMGET', meta, 'shape', 'next_shape')
    if not known[1] and not known[2] then
      -- Only a sketch that has known every row from the first counts them all; one of 1.x counts otherwise.
      if redis.call('SCARD', event.class_set) > 1 or redis.call('EXISTS', base) == 1 then
        return
      end
      redis.call('HSET', meta, 'shape', shape)
      known[1] = shape
    end
    if known[1] == shape then
      count(base, store_key(one, 1, '', event.key), shape, event.key, cells)
    elseif known[1] then
      redis.call('HSET', meta, 'behind', 1)
    end
    if known[2] == shape then
      count(base .. ':next', store_key(one, 2, '', event.key), shape, event.key, cells)
    elseif known[2] then
      redis.call('HSET', meta, 'next_behind', 1)
    end
  end

  local function leave(one, key)
    local base = one.stores[1].before
    local known = redis.call('HMGET', base .. ':meta', 'shape', 'next_shape')
    if known[1] then
      count(base, store_key(one, 1, '', key), known[1], key, '')
    end
    if known[2] then
      count(base .. ':next', store_key(one, 2, '', key), known[2], key, '')
    end
  end

  companion_kinds.frequency = {save = save, leave = leave}
end
