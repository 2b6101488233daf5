-- Finds the rows that satisfy a tree of sources, walking the cheapest of them.
-- KEYS: 1 the class set; then, in order, the key to order by when there is one, and the sources' keys.
-- ARGV: action (rows or count), 1 to pack rows, rows to return, 1 when more are not wanted, members to look at, the
--   cursor or ''; order (none, up or down) and, when there is one, its field, its code and the score from which on
--   values that differ may share one; number of fields, and of each name (of a list behind the row's key what follows
--   that key); number of relationships to load, and of each the number of its field, what stands before the key of a row
--   of the other model, the number of that one's fields, and the fields; the tree of sources as sources.lua reads it;
--   where rows are judged the schema of its indexes as entries.lua reads it.
-- Returns the cursor to go on from, '' at the end, `more` when rows were left out because no more were wanted, `ties`
--   when some of those share the last one's score and not its value, `wide` when a lookup through a relationship is
--   about too many rows; what was found (a count, or rows as {value, ...}, packed with cmsgpack when asked); the kind and
--   cardinality of the driver; of each relationship the rows that the found ones refer to, each once, as {key, value,
--   ...}; the keys of the rows that were found.
-- Rows are judged by their bytes when they are counted, when ties at the limit are told apart, when related rows come too,
-- and where texts or rows that refer to others are asked for. Else the script is made without what that takes, as a
-- definition costs at every call.
-- include: popoto.fields words.lua
-- pieces: bytes
-- include: popoto.queries sources.lua
-- pieces: judging
-- include: popoto.queries rows.lua
local action, packed, most, limited = take(), take() == '1', tonumber(take()), take() == '1'
local budget, cursor = tonumber(take()), take()
local order, order_key, order_field, order_code, tied_from = take(), nil, nil, nil, nil
if order ~= 'none' then
  order_key, order_field, order_code, tied_from = take_key(), take(), take(), to_number(take())
end

local names = take_names()
local wanted = {}
for number = 1, tonumber(take()) do
  wanted[number] = {place = tonumber(take()), prefix = take(), names = take_names()}
end
local root = take_source()
if index_sources and not index_sources(take_schema()) then
  return {'wide', action == 'count' and 0 or {}, '', 0, {}, {}}
end
local walks, size = driver(root)
walks = walked_before(cursor) or walks

-- A small driver is read whole and put in order; else the order itself is walked until enough is found.
local sorted = false
if order_key then
  local range
  local small = size <= 4 * CHUNK
  for _, source in ipairs(walks) do
    small = small and (source.kind ~= 'T' or source.counted)
  end
  for _, source in ipairs(root.kind == 'A' and root.branches or {root}) do
    if source.kind == 'Z' and #source.keys == 1 and source.keys[1] == order_key then
      range = source
    end
  end
  if walks[1] ~= whole.class and walks[1] ~= range and small then
    sorted = true
  else
    walks = {range or {kind = 'Z', keys = {order_key}, from = '-inf', to = '+inf', leaf = '-'}}
    size = range and range.size or redis.call('ZCARD', order_key)
  end
end

-- About as many at a time as are wanted: what is found beyond that was looked at in vain.
local step = math.min(CHUNK, math.max(16, most * (has_sources(root) and limited and 4 or 1)))
local walk = new_walk(walks, cursor, step, order == 'down')

-- What a lookup through a relationship says, no loaded row can tell.
local refers
if root.refers then
  refers = function(row)
    for _, branch in ipairs(root.kind == 'A' and root.branches or {root}) do
      if branch.refers and not confirmed(branch, row) then
        return false
      end
    end
    return true
  end
end

-- Whether a row is in a set of texts where its own value puts it: a count over several pages meets leftovers again.
local function in_place(row)
  local origin = walk.origin and walk.origin[row.key]
  return not origin or origin[entry_keys(walks[walk.number_of_chunk].index, row)]
end

local found, keys, looked, total, counted = {}, {}, 0, 0, {}
local counting, own = action == 'count', string.gsub(KEYS[1], '%$Class:', '', 1) .. ':'

local function accept(member)
  if string.sub(member, 1, #own) ~= own then
    -- It is a row of another model.
  elseif counting then
    local row = row_under(member, whole)
    if row and confirmed(root, row) and in_place(row) then
      total = total + 1
    end
  elseif not refers or refers(row_under(member, whole)) then
    local values = stored_values(member, names)
    if values then
      local number = #found + 1
      found[number], keys[number] = values, member
    end
  end
end

-- Accepts members some of which may come again, from another of the sources that are walked or from the same.
local function accept_once(members)
  for _, member in ipairs(members) do
    if not counted[member] then
      counted[member] = true
      accept(member)
    end
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

local everything, left_out, first = {}, false, true
local tested_before = tested
while walk.number <= #walks and (sorted or (looked + tested - tested_before < budget and #found < most)) do
  local walking = walk.number
  walk.number_of_chunk = walking
  local members, cost = next_chunk(walk)
  looked = looked + math.max(cost, #members)
  members = filtered(root, walks[walking], members)
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
    accept_once(some)
    left_out = true
    break
  elseif first and walk.number > #walks and walks[1].kind ~= 'T' then
    -- One source, all at once: none comes twice.
    for _, member in ipairs(members) do
      accept(member)
    end
  else
    accept_once(members)
  end
  first = false
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
    return one ~= other and precedes(one, other) == (order == 'up')
  end)
  local last = limited and math.min(most, #ordered) or #ordered
  local edge = last > 0 and scores[ordered[last]]
  while edge and math.abs(edge) >= tied_from and last < #ordered and scores[ordered[last + 1]] == edge do
    last = last + 1
  end
  for number = 1, last do
    accept(ordered[number])
  end
  left_out = #ordered > last
end

local onward = ''
if left_out or (limited and not sorted and #found >= most and walk.number <= #walks) then
  onward = 'more'
  if order_key and not sorted and #found > 0 and tied_from < math.huge then
    -- Whether the rows with a member's score have several values; very many are not looked at.
    local function differing_ties(member)
      local score = redis.call('ZSCORE', order_key, member)
      if not score or math.abs(to_number(score)) < tied_from then
        return false
      end
      local many, first = redis.call('ZCOUNT', order_key, score, score), nil
      if many > 4000 then
        return true
      end
      for seen = 0, many - 1, CHUNK do
        for _, tied in ipairs(redis.call('ZRANGE', order_key, score, score, 'BYSCORE', 'LIMIT', seen, CHUNK)) do
          local text = value_text(order_code, held('HGET', tied, order_field)) or ''
          first = first or text
          if text ~= first then
            return true
          end
        end
      end
      return false
    end

    onward = differing_ties(keys[#keys]) and 'ties' or 'more'
  end
elseif not sorted and walk.number <= #walks then
  onward = cursor_of(walk)
end

local related = {}
for number, one in ipairs(wanted) do
  local rows, had = {}, {}
  for _, values in ipairs(found) do
    local raw = values[one.place]
    local key = raw and raw ~= NIL and value_text('r', raw)
    if key and not had[key] then
      had[key] = true
      rows[#rows + 1] = row_values(one.prefix .. key, one.names, key)
    end
  end
  related[number] = packed and cmsgpack.pack(rows) or rows
end
if action == 'count' then
  found = total
elseif packed then
  found, keys = cmsgpack.pack(found), cmsgpack.pack(keys)
end
return {onward, found, walks[1] and walks[1].kind or '', size, related, keys}
