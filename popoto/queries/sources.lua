-- The tree of a query's sources: read from ARGV and KEYS, measured, and asked which members are in it.
-- A prelude: it needs take(), entry_keys() and value_number(). KEYS[1] is the class set; the sources' keys follow in order.
--
-- take_key()                    the next key
-- take_source()                 a tree: A (all of) or O (any of) with the number of branches and the branches, S (sets)
--   with the number of keys, Z (ranges) with that and low, high and 1 for each open end, G (circles) with 1 and longitude,
--   latitude and metres, K (named rows) with the number of keys and the keys
-- index_sources(schema)         gives each S, Z and G of the trees its index, in order
-- measured(source)              how many members it has at most, and the leaves to walk for them
-- flags(members, source)        which of the members are in it, by their place
-- confirmed(source, row)        whether a row's stored bytes say that it belongs where an index has it; row.key is its key
local next_key = 1
local function take_key()
  next_key = next_key + 1
  return KEYS[next_key]
end

local function to_number(text)
  return text == '-inf' and -math.huge or (text == '+inf' or text == 'inf') and math.huge or tonumber(text)
end

local indexed = {}
local function take_source()
  local source = {kind = take(), keys = {}, has = {}, branches = {}}
  if source.kind == 'A' or source.kind == 'O' then
    for place = 1, tonumber(take()) do
      source.branches[place] = take_source()
    end
    return source
  end
  for place = 1, tonumber(take()) do
    source.keys[place] = source.kind == 'K' and take() or take_key()
    source.has[source.keys[place]] = true
  end
  if source.kind ~= 'K' then
    indexed[#indexed + 1] = source
  end
  if source.kind == 'G' then
    local search = {'GEOSEARCH', source.keys[1], 'FROMLONLAT', take(), take(), 'BYRADIUS', take(), 'm'}
    source.kind, source.keys = 'K', redis.call(unpack(search))
    source.has = {}
    for _, member in ipairs(source.keys) do
      source.has[member] = true
    end
  end
  if source.kind == 'Z' then
    local low, high = take(), take()
    source.low, source.high = to_number(low), to_number(high)
    source.low_open, source.high_open = take() == '1', take() == '1'
    source.from, source.to = (source.low_open and '(' or '') .. low, (source.high_open and '(' or '') .. high
  end
  return source
end

local function index_sources(schema)
  for place, source in ipairs(indexed) do
    source.index = schema[place]
  end
end

-- How many members a source has at most, and the leaves to walk for them.
local function measured(source)
  if source.kind == 'K' then
    source.size, source.walks = #source.keys, {source}
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
        source.size, source.walks, source.walked = branch.size, branch.walks, branch
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

local function between(source, score)
  return (score > source.low or (score == source.low and not source.low_open))
    and (score < source.high or (score == source.high and not source.high_open))
end

local function inside(source, text)
  local score = text and to_number(text)
  return score and between(source, score)
end

-- Which of the members are in a source, by their place.
local function flags(members, source)
  local good = {}
  if source.kind == 'K' then
    for place, member in ipairs(members) do
      good[place] = source.has[member]
    end
  elseif source.kind == 'S' or source.kind == 'Z' then
    for _, key in ipairs(source.keys) do
      local replies = redis.call(source.kind == 'Z' and 'ZMSCORE' or 'SMISMEMBER', key, unpack(members))
      for place, reply in ipairs(replies) do
        good[place] = good[place] or (source.kind == 'Z' and inside(source, reply)) or reply == 1
      end
    end
  else
    for number, branch in ipairs(source.branches) do
      local some = flags(members, branch)
      for place = 1, #members do
        if source.kind == 'A' then
          good[place] = (number == 1 or good[place]) and some[place]
        else
          good[place] = good[place] or some[place]
        end
      end
    end
  end
  return good
end

-- Whether a row's stored bytes say that it belongs where an index has it.
local function confirmed(source, row)
  if source.kind == 'K' then
    return source.has[row.key]
  end
  if source.index then
    -- The canonical key alone: 1.x's spelling of one value may be ours of another.
    local key = entry_keys(source.index, row)
    -- A writer that left the index alone: the row's own number decides, where it has one.
    local score = source.kind == 'Z' and value_number(row[source.index.field])
    return key and source.has[key] and (not score or between(source, score))
  end
  for _, branch in ipairs(source.branches) do
    if (source.kind == 'O') == (confirmed(branch, row) and true or false) then
      return source.kind == 'O'
    end
  end
  return source.kind == 'A'
end
