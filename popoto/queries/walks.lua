-- Walks over sources in bounded steps, from a cursor on.
-- A prelude: it needs texts.lua.
--
-- new_walk(walks, cursor, step, descending)   a walk over the keys of some sources, about `step` members at a time
-- next_chunk(walk)   some members, and how many values were looked at for them; walk.number is beyond the last source
--   at the end. Of a source of texts walk.origin says in which sets each member was found.
-- cursor_of(walk)    where to go on
-- Cursors: the numbers of the sources that are walked, as those that are cheapest may be others when the next page is
-- asked for; then the walk's number, its key's number, then of a set the server's own cursor, of a sorted set the score to go
-- on from and how many of that score were seen, of texts 1 and the last one, of sets that change places the key.
-- include: popoto.fields byte_order.lua
local function new_walk(walks, cursor, step, descending)
  local number, key_number, place, seen, text = string.match(cursor, '^%S+ (%d+) (%d+) (%S+) (%d+) (.*)$')
  local walk = {
    walks = walks, step = step, descending = descending, text = text or '',
    number = tonumber(number or 1), key_number = tonumber(key_number or 1), seen = tonumber(seen or 0),
    place = place ~= '-' and place or nil,
  }
  local source = walks[walk.number]
  if text and source and source.by_name then
    walk.key_number = 1
    while source.keys[walk.key_number] and precedes(source.keys[walk.key_number], text) do
      walk.key_number = walk.key_number + 1
    end
    if source.keys[walk.key_number] ~= text then
      walk.place = nil
    end
    if not source.keys[walk.key_number] then
      walk.number, walk.key_number = walk.number + 1, 1
    end
  end
  return walk
end

-- The score that a walk of a sorted set goes on from, and how many of that score were seen.
local function set_place(walk, key)
  local score = redis.call('ZSCORE', key, walk.last)
  local seen = redis.call(walk.descending and 'ZREVRANK' or 'ZRANK', key, walk.last) + 1
  if walk.descending then
    seen = seen - redis.call('ZCOUNT', key, '(' .. score, '+inf')
  else
    seen = seen - redis.call('ZCOUNT', key, '-inf', '(' .. score)
  end
  walk.place, walk.seen, walk.last = score, seen, nil
end

local function cursor_of(walk)
  local source = walk.walks[walk.number]
  if walk.last then
    set_place(walk, source.keys[walk.key_number])
  end
  if source.by_name then
    walk.text = source.keys[walk.key_number]
  end
  local leaves = {}
  for number, one in ipairs(walk.walks) do
    leaves[number] = one.leaf
  end
  return table.concat(leaves, ',') .. ' ' .. walk.number .. ' ' .. walk.key_number .. ' ' .. (walk.place or '-') .. ' ' .. walk.seen .. ' ' .. walk.text
end

local function go_on(walk)
  local source = walk.walks[walk.number]
  walk.key_number, walk.place, walk.seen, walk.last, walk.text = walk.key_number + 1, nil, 0, nil, ''
  if walk.key_number > #source.keys or source.kind == 'K' or source.kind == 'T' then
    walk.number, walk.key_number = walk.number + 1, 1
  end
end

local function scored_chunk(walk, source, key)
  if walk.last then
    set_place(walk, key)
  end
  local members
  if walk.descending then
    members = redis.call('ZRANGE', key, walk.place or source.to, source.from, 'BYSCORE', 'REV', 'LIMIT', walk.seen, walk.step)
  else
    members = redis.call('ZRANGE', key, walk.place or source.from, source.to, 'BYSCORE', 'LIMIT', walk.seen, walk.step)
  end
  walk.last = members[#members]
  if #members < walk.step then
    go_on(walk)
  end
  return members, 0
end

-- A set comes in one order whatever the step is, so that the rows up to a limit are the first of all rows. A server
-- keeps up to 128 members in a list, which comes whole anyway.
local function set_chunk(walk, key)
  if not walk.place and redis.call('SCARD', key) <= 128 then
    go_on(walk)
    return redis.call('SMEMBERS', key), 0
  end
  local reply = redis.call('SSCAN', key, walk.place or '0', 'COUNT', walk.step)
  if reply[1] == '0' then
    go_on(walk)
  else
    walk.place = reply[1]
  end
  return reply[2], 0
end

local function next_chunk(walk)
  local source = walk.walks[walk.number]
  walk.origin = nil
  if source.kind == 'T' then
    local members, cost, ended = texts.chunk(walk, source)
    if ended then
      go_on(walk)
    end
    return members, cost
  elseif #source.keys == 0 then
    go_on(walk)
    return {}, 0
  elseif source.kind == 'K' then
    go_on(walk)
    return source.keys, 0
  elseif source.kind == 'Z' then
    return scored_chunk(walk, source, source.keys[walk.key_number])
  end
  return set_chunk(walk, source.keys[walk.key_number])
end
