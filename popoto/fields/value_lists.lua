-- Lists of distinct values: for each index that keeps one, the texts of the values that have a set.
-- A prelude: it needs values.lua; schema.listed names the fields that have lists. A list is a sorted set whose scores are all 0. Beside them a model has
-- a roster: a hash that counts, for the fields that have lists, the rows whose values were entered there. A list is
-- believed while that is the number of rows in the class set: not beside rows that another program has added or removed.
--
-- listed_value(index, key)     the text of a set's value; nil when it is not listed
-- unlist_value(list, key)      takes the value of a set out of its list when the set is empty
-- enroll(class_set, schema)    counts a row that was just added to the class set and whose values are all listed
-- withdraw(class_set, key)     takes a row out of the class set
local function listed_value(index, key)
  local part = index.list and string.sub(key, #index.base + 2) or 'None'
  return part ~= 'None' and part_text(part) or nil
end

local function unlist_value(list, key)
  if not list or redis.call('EXISTS', key) == 1 then
    return
  end
  local part = string.match(key, '^.*:(.*)$')
  local text = part and part ~= 'None' and part_text(part)
  -- What 1.x has spelled in another way is not listed.
  if text and text_part(text) == part then
    redis.call('ZREM', list, text)
  end
end

local function roster_of(class_set)
  return (string.gsub(class_set, '%$Class(:[^:]*)$', '$Vals%1'))
end

local function enroll(class_set, schema)
  if schema.listed == '' then
    return
  end
  local roster = roster_of(class_set)
  -- The first of its kind: unless it is the first row, others were never counted.
  if redis.call('HINCRBY', roster, schema.listed, 1) == 1 and redis.call('SCARD', class_set) > 1 then
    redis.call('HDEL', roster, schema.listed)
  end
end

local function withdraw(class_set, key)
  if redis.call('SREM', class_set, key) == 0 then
    return
  end
  local roster = roster_of(class_set)
  if redis.call('EXISTS', class_set) == 0 then
    redis.call('DEL', roster)
    return
  end
  for _, field in ipairs(redis.call('HKEYS', roster)) do
    redis.call('HINCRBY', roster, field, -1)
  end
end
