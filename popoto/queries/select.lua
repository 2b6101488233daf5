-- Finds the rows that satisfy a tree of sources, walking the cheapest of them.
-- KEYS: 1 the class set; then, in order, the key to order by when there is one, and the sources' keys.
-- ARGV: action (rows, count or keys), 1 to pack rows, rows to return, 1 when more are not wanted, members to look at,
--   the cursor or ''; order (none, up or down); number of fields, and of each name
--   (of a list behind the row's key what follows that key);
--   the tree of sources: A (all of) or O (any of) with the number of branches and the branches, S (sets) with the
--   number of keys, Z (ranges) with that and low, high and 1 for each open end, G (circles) with 1 and longitude,
--   latitude and metres, K (named rows) with the number of keys and the keys; the schema as entries.lua reads it: in order the index of each S, Z and G.
-- Returns the cursor to go on from, '' at the end, or `more` when rows were left out because no more were wanted; what
--   was found (rows as {key, value, ...}, packed with cmsgpack when asked); the kind and cardinality of the driver.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.queries sources.lua
local CHUNK = 500
local action, packed, most, limited = take(), take() == '1', tonumber(take()), take() == '1'
local budget, cursor = tonumber(take()), take()
local order = take()
local order_key = order ~= 'none' and take_key() or nil
local names, lists = {}, {}
for number = 1, tonumber(take()) do
  names[number] = take()
  if string.sub(names[number], 1, 2) == '::' then
    lists[#lists + 1] = number
  end
end

local root = take_source()
local schema = take_schema()
index_sources(schema)

local class = {kind = 'S', keys = {KEYS[1]}, size = redis.call('SCARD', KEYS[1])}
local has_sources = root.kind ~= 'A' or #root.branches > 0
local walks, size = {class}, class.size
if has_sources then
  measured(root)
  -- The class set is as good when the sources hold no fewer, and says nothing of rows that are named by their keys.
  if root.size <= class.size or root.kind == 'K' then
    walks, size = root.walks, root.size
  end
end

-- A small driver is read whole and put in order; else the order itself is walked until enough is found.
local sorted = false
if order_key then
  local range
  for _, source in ipairs(root.kind == 'A' and root.branches or {root}) do
    if source.kind == 'Z' and #source.keys == 1 and source.keys[1] == order_key then
      range = source
    end
  end
  if walks[1] ~= class and walks[1] ~= range and size <= 4 * CHUNK then
    sorted = true
  else
    walks = {range or {kind = 'Z', keys = {order_key}, from = '-inf', to = '+inf'}}
    size = range and range.size or redis.call('ZCARD', order_key)
  end
end

local function filtered(members)
  if not has_sources or #members == 0 then
    return members
  end
  local good, result = nil, {}
  if root == walks[1] then
    return members
  elseif root.kind == 'A' and #walks == 1 then
    good = {}
    for place = 1, #members do
      good[place] = true
    end
    for _, branch in ipairs(root.branches) do
      if branch ~= walks[1] then
        for place, is_in in pairs(flags(members, {kind = 'A', branches = {branch}})) do
          good[place] = good[place] and is_in
        end
      end
    end
  else
    good = flags(members, root)
  end
  for place, member in ipairs(members) do
    if good[place] then
      result[#result + 1] = member
    end
  end
  return result
end

-- Cursors: the walk's number, its key's number, then of a set the server's own cursor, of a sorted set the score to go
-- on from and how many of that score were seen.
local walk_number, key_number, place, seen = string.match(cursor, '^(%d+) (%d+) (%S+) (%d+)$')
walk_number, key_number, seen = tonumber(walk_number or 1), tonumber(key_number or 1), tonumber(seen or 0)
place = place ~= '-' and place or nil

local function go_on()
  key_number, place, seen = key_number + 1, nil, 0
  if key_number > #walks[walk_number].keys or walks[walk_number].kind == 'K' then
    walk_number, key_number = walk_number + 1, 1
  end
end

-- About as many at a time as are wanted: what is found beyond that was looked at in vain.
local step = math.min(CHUNK, math.max(16, most * (has_sources and limited and 4 or 1)))

local function scored_chunk(walk, key)
  local command = {'ZRANGE', key, place or walk.from, walk.to, 'BYSCORE', 'LIMIT', seen, step, 'WITHSCORES'}
  if order == 'down' then
    command = {'ZRANGE', key, place or walk.to, walk.from, 'BYSCORE', 'REV', 'LIMIT', seen, step, 'WITHSCORES'}
  end
  local flat = redis.call(unpack(command))
  local members, ties = {}, 0
  local last = flat[#flat]
  for number = 1, #flat, 2 do
    members[#members + 1] = flat[number]
    ties = flat[number + 1] == last and ties + 1 or 0
  end
  if #members < step then
    go_on()
  elseif last == place then
    seen = seen + #members
  else
    place, seen = last, ties
  end
  return members
end

local function set_chunk(key)
  if not place and redis.call('SCARD', key) <= 2 * step then
    go_on()
    return redis.call('SMEMBERS', key)
  end
  local reply = redis.call('SSCAN', key, place or '0', 'COUNT', step)
  if reply[1] == '0' then
    go_on()
  else
    place = reply[1]
  end
  return reply[2]
end

local function chunk()
  local walk = walks[walk_number]
  if #walk.keys == 0 then
    go_on()
    return {}
  elseif walk.kind == 'K' then
    go_on()
    return walk.keys
  elseif walk.kind == 'Z' then
    return scored_chunk(walk, walk.keys[key_number])
  end
  return set_chunk(walk.keys[key_number])
end

-- A list that is kept behind the row's key, as one msgpack array of its items.
local function list_value(key)
  local items = redis.call('LRANGE', key, 0, -1)
  local header = string.char(144 + #items % 16)
  if #items > 15 then
    header = '\220' .. string.char(math.floor(#items / 256), #items % 256)
  end
  return header .. table.concat(items)
end

local found, looked, total, counted = {}, 0, 0, {}
local function accept(members)
  for _, member in ipairs(members) do
    if counted[member] then
      -- It is in several of the sources that are walked.
    elseif action == 'count' then
      local row = read_row(member, schema)
      row.key = member
      if (#indexed > 0 or redis.call('EXISTS', member) == 1) and confirmed(root, row) then
        total = total + 1
      end
    elseif action == 'keys' then
      found[#found + 1] = member
    else
      local values = redis.call('HMGET', member, unpack(names))
      for _, value in ipairs(values) do
        if value then
          for _, number in ipairs(lists) do
            values[number] = list_value(member .. names[number])
          end
          table.insert(values, 1, member)
          found[#found + 1] = values
          break
        end
      end
    end
    counted[member] = true
  end
end

-- The members that no earlier walk has had: a count over several pages does not remember them.
local function unseen(members, walking)
  local result, had = {}, {}
  for number = 1, walking - 1 do
    for place, is_in in pairs(flags(members, walks[number])) do
      had[place] = had[place] or is_in
    end
  end
  for place, member in ipairs(members) do
    if not had[place] then
      result[#result + 1] = member
    end
  end
  return result
end

local everything, left_out = {}, false
while walk_number <= #walks and looked < budget and (sorted or #found < most) do
  local walking = walk_number
  local members = chunk()
  looked = looked + #members
  members = filtered(members)
  if action == 'count' and walking > 1 and #members > 0 then
    members = unseen(members, walking)
  end
  if sorted then
    for _, member in ipairs(members) do
      everything[#everything + 1] = member
    end
  elseif limited and #found + #members > most then
    local some = {}
    for number = 1, most - #found do
      some[number] = members[number]
    end
    accept(some)
    left_out = true
    break
  else
    accept(members)
  end
end

if sorted then
  local scores, ordered = {}, {}
  for first = 1, #everything, 1000 do
    local last = math.min(first + 999, #everything)
    for number, text in ipairs(redis.call('ZMSCORE', order_key, unpack(everything, first, last))) do
      local member = everything[first + number - 1]
      if text and not scores[member] then
        scores[member] = to_number(text)
        ordered[#ordered + 1] = member
      end
    end
  end
  table.sort(ordered, function(one, other)
    if scores[one] ~= scores[other] then
      return (scores[one] < scores[other]) == (order == 'up')
    end
    return one ~= other and (one < other) == (order == 'up')
  end)
  local last = limited and math.min(most, #ordered) or #ordered
  for number = 1, last do
    accept({ordered[number]})
  end
  left_out = #ordered > last
end

local onward = ''
if left_out then
  onward = 'more'
elseif not sorted and walk_number <= #walks then
  onward = walk_number .. ' ' .. key_number .. ' ' .. (place or '-') .. ' ' .. seen
end
if action == 'count' then
  found = total
elseif packed and action == 'rows' then
  found = cmsgpack.pack(found)
end
return {onward, found, walks[1] and walks[1].kind or '', size}
