-- Finds the rows that are members of every source, walking the one with the fewest members.
-- KEYS: 1 the class set; then, in order, the key to order by when there is one, and the sources' keys.
-- ARGV: action (rows, count or keys), 1 to pack rows, rows to return, 1 when more are not wanted, members to look at,
--   the cursor or '';
--   order (none, up or down); number of fields, and of each name;
--   number of sources, and of each kind (S, Z or K); of S and Z the number of keys, of Z low, high and 1 for each open
--   end, of K the number of members and the members; the schema as entries.lua reads it: of each S and Z its index.
-- Returns the cursor to go on from, '' at the end, or `more` when rows were left out because no more were wanted; what was found (rows as {key, value, ...}, packed with cmsgpack
--   when asked), and the kind and cardinality of the driver.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
local CHUNK = 500
local next_key = 1
local function take_key()
  next_key = next_key + 1
  return KEYS[next_key]
end

local action, packed, most, limited = take(), take() == '1', tonumber(take()), take() == '1'
local budget, cursor = tonumber(take()), take()
local order = take()
local order_key = order ~= 'none' and take_key() or nil
local names = {}
for number = 1, tonumber(take()) do
  names[number] = take()
end

local function bounds(source)
  source.low, source.high = take(), take()
  source.low_open, source.high_open = take() == '1', take() == '1'
  source.from = (source.low_open and '(' or '') .. source.low
  source.to = (source.high_open and '(' or '') .. source.high
  source.low = source.low == '-inf' and -math.huge or source.low == '+inf' and math.huge or tonumber(source.low)
  source.high = source.high == '-inf' and -math.huge or source.high == '+inf' and math.huge or tonumber(source.high)
end

local sources = {}
for number = 1, tonumber(take()) do
  local source = {kind = take(), keys = {}}
  if source.kind == 'K' then
    for place = 1, tonumber(take()) do
      source.keys[place] = take()
    end
  else
    for place = 1, tonumber(take()) do
      source.keys[place] = take_key()
    end
    if source.kind == 'Z' then
      bounds(source)
    end
  end
  sources[number] = source
end
local schema = take_schema()
local indexed = 0
for _, source in ipairs(sources) do
  if source.kind ~= 'K' then
    indexed = indexed + 1
    source.index = schema[indexed]
  end
  source.has = {}
  for _, key in ipairs(source.keys) do
    source.has[key] = true
  end
end

local function cardinality(source)
  if source.kind == 'K' then
    return #source.keys
  end
  local sum = 0
  for _, key in ipairs(source.keys) do
    if source.kind == 'Z' then
      sum = sum + redis.call('ZCOUNT', key, source.from, source.to)
    else
      sum = sum + redis.call('SCARD', key)
    end
  end
  return sum
end

local driver = {kind = 'S', keys = {KEYS[1]}, size = redis.call('SCARD', KEYS[1]), class = true}
for _, source in ipairs(sources) do
  source.size = cardinality(source)
  if source.size <= driver.size then
    driver = source
  end
end
-- A small driver is read whole and put in order; else the order itself is walked until enough is found.
local sorted = false
if order_key then
  local ranged
  for _, source in ipairs(sources) do
    if source.kind == 'Z' and source.keys[1] == order_key and #source.keys == 1 then
      ranged = source
    end
  end
  if driver ~= ranged and driver.size <= budget and driver.size <= 4 * CHUNK and not driver.class then
    sorted = true
  elseif ranged then
    driver = ranged
  else
    driver = {kind = 'Z', keys = {order_key}, from = '-inf', to = '+inf', size = redis.call('ZCARD', order_key)}
  end
end

local function inside(source, text)
  local score = text and tonumber(text)
  if text == 'inf' then score = math.huge elseif text == '-inf' then score = -math.huge end
  return score and (score > source.low or (score == source.low and not source.low_open))
    and (score < source.high or (score == source.high and not source.high_open))
end

local function kept(members, source)
  local good, result = {}, {}
  for _, key in ipairs(source.kind == 'K' and {} or source.keys) do
    local replies = redis.call(source.kind == 'Z' and 'ZMSCORE' or 'SMISMEMBER', key, unpack(members))
    for number, reply in ipairs(replies) do
      good[number] = good[number] or (source.kind == 'Z' and inside(source, reply)) or reply == 1
    end
  end
  for number, member in ipairs(members) do
    if good[number] or (source.kind == 'K' and source.has[member]) then
      result[#result + 1] = member
    end
  end
  return result
end

local function filtered(members)
  for _, source in ipairs(sources) do
    if source ~= driver and #members > 0 then
      members = kept(members, source)
    end
  end
  return members
end

-- Cursors: the number of the driver's key, then of a set the server's own cursor, of a sorted set the score to go on
-- from and how many of that score were seen.
local key_number, place, seen = string.match(cursor, '^(%d+) (%S+) (%d+)$')
key_number, seen = tonumber(key_number or 1), tonumber(seen or 0)

local function next_key_of_driver()
  key_number, place, seen = key_number + 1, nil, 0
end

local function scored_chunk(key)
  local from, to = place or driver.from, driver.to
  local command = {'ZRANGE', key, from, to, 'BYSCORE', 'LIMIT', seen, CHUNK, 'WITHSCORES'}
  if order == 'down' then
    command = {'ZRANGE', key, place or driver.to, driver.from, 'BYSCORE', 'REV', 'LIMIT', seen, CHUNK, 'WITHSCORES'}
  end
  local flat = redis.call(unpack(command))
  local members, ties = {}, 0
  local last = flat[#flat]
  for number = 1, #flat, 2 do
    members[#members + 1] = flat[number]
    ties = flat[number + 1] == last and ties + 1 or 0
  end
  if #members < CHUNK then
    next_key_of_driver()
  elseif last == place then
    seen = seen + #members
  else
    place, seen = last, ties
  end
  return members
end

local function set_chunk(key)
  if not place and redis.call('SCARD', key) <= 2 * CHUNK then
    next_key_of_driver()
    return redis.call('SMEMBERS', key)
  end
  local reply = redis.call('SSCAN', key, place or '0', 'COUNT', CHUNK)
  if reply[1] == '0' then
    next_key_of_driver()
  else
    place = reply[1]
  end
  return reply[2]
end

local function chunk()
  if driver.kind == 'K' then
    key_number = #driver.keys + 1
    return driver.keys
  end
  local key = driver.keys[key_number]
  if driver.kind == 'Z' then
    return scored_chunk(key)
  end
  return set_chunk(key)
end

local function verified(member)
  local row = read_row(member, schema)
  for _, source in ipairs(sources) do
    if source.index then
      local key, legacy = entry_keys(source.index, row)
      if not (key and (source.has[key] or source.has[legacy])) then
        return false
      end
    end
  end
  return indexed > 0 or redis.call('EXISTS', member) == 1
end

local found, looked, total = {}, 0, 0
local function add_row(member)
  if action == 'keys' then
    found[#found + 1] = member
    return
  end
  local values = redis.call('HMGET', member, unpack(names))
  for _, value in ipairs(values) do
    if value then
      table.insert(values, 1, member)
      found[#found + 1] = values
      return
    end
  end
end

local counted = {}
local function accept(members)
  for _, member in ipairs(members) do
    if action ~= 'count' then
      add_row(member)
    elseif not counted[member] and verified(member) then
      counted[member] = true
      total = total + 1
    end
  end
end

local everything, left_out = {}, false
while key_number <= #driver.keys and looked < budget and (sorted or #found < most) do
  local members = chunk()
  looked = looked + #members
  if #members > 0 then
    members = filtered(members)
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
  local scores = {}
  if #everything > 0 then
    for number, text in ipairs(redis.call('ZMSCORE', order_key, unpack(everything))) do
      scores[everything[number]] = text and (tonumber(text) or (text == 'inf' and math.huge or -math.huge))
    end
  end
  local ordered = {}
  for _, member in ipairs(everything) do
    if scores[member] then
      ordered[#ordered + 1] = member
    end
  end
  table.sort(ordered, function(one, other)
    if scores[one] ~= scores[other] then
      return (scores[one] < scores[other]) == (order == 'up')
    end
    return (one < other) == (order == 'up') and one ~= other
  end)
  for number = 1, math.min(most, #ordered) do
    accept({ordered[number]})
  end
  left_out = #ordered > most
end

local onward = ''
if left_out then
  onward = 'more'
elseif not sorted and key_number <= #driver.keys then
  onward = key_number .. ' ' .. (place or '0') .. ' ' .. seen
end
if action == 'count' then
  return {onward, total, driver.kind, driver.size}
end
if packed and action == 'rows' then
  return {onward, cmsgpack.pack(found), driver.kind, driver.size}
end
return {onward, found, driver.kind, driver.size}
