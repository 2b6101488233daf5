-- The tree of a query's sources: read from ARGV and KEYS, measured, and asked which rows are in it.
-- A prelude: it needs words.lua; for texts and for rows that refer to others (T and R) values.lua, entries.lua and texts.lua
-- too, and judging.lua behind it. KEYS[1] is the class set; the sources' keys follow in order.
--
-- take_key()             the next key
-- take_source()          a tree. Of each source: A (all of) or O (any of) with the number of branches and
--   the branches; S (sets) with the number of keys; Z (ranges) with that and low, high and 1 for each open end; G
--   (circles) with 1 and longitude, latitude and metres; K (named rows) with the number of keys and the keys; T (texts)
--   with the number of keys (the list of values and the roster, or none), startswith, endswith or contains, the text,
--   the roster's field, and 1 when a row's own key tells the text; R (rows that refer to others) with the length of
--   what stands before a key, a class set as key, the tree of the others and their schema
-- measured(source)       how many members it has at most, and the leaves to walk for them
-- driver(root)           the sources to walk, and how many members they have at most
-- walked_before(cursor)  the sources that the page before was taken from, if it was not walked in order
-- flags(members, source, leaf)    which of the members are in it, by their place
-- filtered(root, leaf, members)   the members of a leaf that are in the tree
-- include: popoto.queries walks.lua
local CHUNK = 500
local next_key = 1
local function take_key()
  next_key = next_key + 1
  return KEYS[next_key]
end

local function to_number(text)
  return text == '-inf' and -math.huge or (text == '+inf' or text == 'inf') and math.huge or tonumber(text)
end

local function new_tree(class_key)
  local class = {kind = 'S', keys = {class_key}, size = redis.call('SCARD', class_key), leaf = 0}
  return {class = class, indexed = {}, leaves = {[0] = class}}
end

local whole = new_tree(KEYS[1])

local function take_circle(source)
  local search = {'GEOSEARCH', source.keys[1], 'FROMLONLAT', take(), take(), 'BYRADIUS', take(), 'm'}
  source.kind, source.keys, source.has = 'K', redis.call(unpack(search)), nil
end

-- Whether a row is one of those that a source names; most circles are walked and never asked.
local function is_named(source, key)
  if not source.has then
    source.has = {}
    for _, one in ipairs(source.keys) do
      source.has[one] = true
    end
  end
  return source.has[key]
end

local function take_range(source)
  local low, high = take(), take()
  source.low, source.high = to_number(low), to_number(high)
  source.low_open, source.high_open = take() == '1', take() == '1'
  source.from, source.to = (source.low_open and '(' or '') .. low, (source.high_open and '(' or '') .. high
end

local function take_source(tree)
  tree = tree or whole
  local source = {kind = take(), keys = {}, has = {}, branches = {}, class = tree.class}
  if source.kind == 'A' or source.kind == 'O' then
    for place = 1, tonumber(take()) do
      source.branches[place] = take_source(tree)
      source.refers = source.refers or source.branches[place].refers
    end
    return source
  end
  source.leaf = #tree.leaves + 1
  tree.leaves[source.leaf] = source
  if source.kind ~= 'K' then
    tree.indexed[#tree.indexed + 1] = source
  end
  if source.kind == 'R' then
    source.strip, source.refers = tonumber(take()), true
    source.others = new_tree(take_key())
    source.others.root = take_source(source.others)
    source.others.schema = take_schema()
    return source
  end
  for place = 1, tonumber(take()) do
    source.keys[place] = source.kind == 'K' and take() or take_key()
    source.has[source.keys[place]] = true
  end
  if source.kind == 'G' then
    take_circle(source)
  elseif source.kind == 'Z' then
    take_range(source)
  elseif source.kind == 'T' then
    with_texts()
    texts.take(source, tree)
  end
  return source
end

-- How many members a source has at most, and the leaves to walk for them.
local function measured(source)
  if source.kind == 'K' then
    source.size, source.walks = #source.keys, {source}
    return source
  elseif source.kind == 'T' then
    texts.measure(source)
    return source
  end
  if #source.branches == 0 then
    source.size, source.walks = 0, {source}
    for _, key in ipairs(source.keys) do
      source.size = source.size
        + (source.kind == 'Z' and redis.call('ZCOUNT', key, source.from, source.to) or redis.call('SCARD', key))
    end
    return source
  end
  for _, branch in ipairs(source.branches) do
    measured(branch)
    if source.kind == 'A' then
      if not source.size or branch.size < source.size then
        source.size, source.walks = branch.size, branch.walks
      end
    else
      source.size, source.walks = (source.size or 0) + branch.size, source.walks or {}
      for _, walk in ipairs(branch.walks) do
        source.walks[#source.walks + 1] = walk
      end
    end
  end
  return source
end

local function has_sources(root)
  return root.kind ~= 'A' or #root.branches > 0
end

local function driver(root)
  if has_sources(root) then
    measured(root)
    -- The class set is as good when the sources hold no fewer, and says nothing of rows that are named by their keys.
    if root.size <= root.class.size or root.kind == 'K' then
      return root.walks, root.size
    end
  end
  return {root.class}, root.class.size
end

-- The sources that a page was taken from; nil for the first page and for a walk in order.
local function walked_before(cursor)
  local numbers, walks = string.match(cursor, '^([%d,]+) '), {}
  for number in string.gmatch(numbers or '', '%d+') do
    walks[#walks + 1] = whole.leaves[tonumber(number)]
  end
  return numbers and walks
end

local function between(source, score)
  return (score > source.low or (score == source.low and not source.low_open))
    and (score < source.high or (score == source.high and not source.high_open))
end

local function inside(source, text)
  local score = text and to_number(text)
  return score and between(source, score)
end

-- Whether the members of a leaf are in a source for that alone.
local function implied(source, leaf)
  if source.kind ~= 'A' and source.kind ~= 'O' then
    return source == leaf
  end
  for _, branch in ipairs(source.branches) do
    if implied(branch, leaf) == (source.kind == 'O') then
      return source.kind == 'O'
    end
  end
  return source.kind == 'A'
end

-- Whether to read rows takes less than to ask each set: a row takes as long as some 50 of a set's members.
local function rows_are_fewer(members, source)
  local keys = #source.keys
  return source.by_name
    or (source.index and source.index.code ~= 'x' and keys > 8 and keys * (15 + #members) > 50 * #members)
end

-- Which of the members are in a source, by their place; they are those of a leaf, where one is given.
local function flags(members, source, leaf)
  local good = {}
  if source.kind == 'K' then
    for place, member in ipairs(members) do
      good[place] = is_named(source, member)
    end
  elseif source.kind == 'T' then
    return texts.flags(members, source)
  elseif source.kind == 'S' and rows_are_fewer(members, source) then
    source.own = source.own or {source.index}
    tested = tested + 6 * #members
    for place, member in ipairs(members) do
      local key = entry_keys(source.index, read_row(member, source.own))
      good[place] = key and source.has[key]
    end
  elseif source.kind == 'S' or source.kind == 'Z' then
    for _, key in ipairs(source.keys) do
      local replies = redis.call(source.kind == 'Z' and 'ZMSCORE' or 'SMISMEMBER', key, unpack(members))
      for place, reply in ipairs(replies) do
        good[place] = good[place] or (source.kind == 'Z' and inside(source, reply)) or reply == 1
      end
    end
  else
    for place = 1, #members do
      good[place] = source.kind == 'A'
    end
    for _, branch in ipairs(source.branches) do
      if source.kind == 'O' or not implied(branch, leaf) then
        local some = flags(members, branch, leaf)
        for place = 1, #members do
          if source.kind == 'A' then
            good[place] = good[place] and some[place]
          else
            good[place] = good[place] or some[place]
          end
        end
      end
    end
  end
  return good
end

local function filtered(root, leaf, members)
  if #members == 0 or implied(root, leaf) then
    return members
  end
  local good, result = flags(members, root, leaf), {}
  for place, member in ipairs(members) do
    if good[place] then
      result[#result + 1] = member
    end
  end
  return result
end
