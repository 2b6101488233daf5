-- A Bloom filter of a model's rows: bits are only ever set. Settled: P without the store's prefix, the filter's
-- shape. Said: the bits.
-- P:meta is a hash: shape and current, the number of the filter that is asked; next_shape and next, of one that
-- rebuild_indexes fills; behind and next_behind, when a row was saved that the filter does not know. The bits lie in
-- strings P:{number}:{segment} of SEGMENT bits each. 1.x had one string at P, whose bits cannot be read any more.
do
  local SEGMENT = 32768

  local function set_bits(base, number, bits)
    for _, text in ipairs(bits) do
      local place = tonumber(text)
      local segment = math.floor(place / SEGMENT)
      local key = base .. ':' .. number .. ':' .. string.format('%.0f', segment)
      redis.call('SETBIT', key, string.format('%.0f', place - segment * SEGMENT), 1)
    end
  end

  companion_kinds.existence = {
    save = function(one, event)
      if not one.said then
        return
      end
      local base = string.match(event.class_set, '^(.-)%$Class:') .. one.settled[1]
      local shape = one.settled[2]
      local meta = base .. ':meta'
      local known = redis.call('HMGET', meta, 'shape', 'current', 'next_shape', 'next')
      if not known[2] and not known[4] then
        -- Only a filter that has known every row from the first may say that something is missing.
        if redis.call('SCARD', event.class_set) > 1 or redis.call('EXISTS', base) == 1 then
          return
        end
        redis.call('HSET', meta, 'shape', shape, 'current', 1)
        known = {shape, '1', false, false}
      end
      if known[2] and known[1] == shape then
        set_bits(base, known[2], one.said)
      elseif known[2] and event.op ~= 'reindex' then
        redis.call('HSET', meta, 'behind', 1)
      end
      if known[4] and known[3] == shape then
        set_bits(base, known[4], one.said)
      elseif known[4] then
        redis.call('HSET', meta, 'next_behind', 1)
      end
    end,
  }
end
