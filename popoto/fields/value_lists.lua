-- Lists of distinct values: for each index that keeps one, the texts of the values that have a set.
-- A prelude: it needs values.lua and entries.lua. A list is a sorted set whose scores are all 0. Beside them a model has
-- a roster: a hash that counts, for the fields that have lists, the rows whose values were entered there. A list is
-- believed while that is the number of rows in the class set: not beside rows that another program has added or removed.
--
-- unlisted_value(index, key, anew)   the text of a set's value when the list lacks it, or may lack it soon; nil when
--                              nothing is to be listed
-- listed_set(index, key)       an entry of the expiry ledger's receipts: the list and the set
-- unlist_value(list, key)      takes the value of a set out of its list when the set is empty
-- set_of(entry)                the list and the set of such an entry
-- enroll(class_set, key, schema, whole)   adds a row to the class set; `whole` says that all its values are listed
-- withdraw(class_set, key)     takes a row out of the class set
-- settle_roster(class_set, schema)        all rows' values are listed now
local function list_text(key)
  local part = string.match(key, '^.*:(.*)$')
  local text = part and part ~= 'None' and part_text(part)
  -- What 1.x has spelled in another way is not listed.
  return text and text_part(text) == part and text or nil
end

local function unlisted_value(index, key, anew)
  if index.list == '' then
    return nil
  end
  local part = string.sub(key, #index.base + 2)
  local text = part ~= 'None' and part_text(part)
  if text and (anew or not redis.call('ZSCORE', index.list, text)) then
    return text
  end
end

local function unlist_value(list, key)
  local text = list ~= '' and redis.call('EXISTS', key) == 0 and list_text(key)
  if text then
    redis.call('ZREM', list, text)
  end
end

local function listed_set(index, key)
  return #index.list .. ':' .. index.list .. key
end

local function set_of(entry)
  local colon = string.find(entry, ':', 1, true)
  local length = tonumber(string.sub(entry, 1, colon - 1))
  return string.sub(entry, colon + 1, colon + length), string.sub(entry, colon + length + 1)
end

local function roster_of(class_set)
  return (string.gsub(class_set, '%$Class(:[^:]*)$', '$Vals%1'))
end

local function roster_field(schema)
  local fields = {}
  for _, index in ipairs(schema) do
    if index.list ~= '' then
      fields[#fields + 1] = index.field
    end
  end
  return table.concat(fields, ',')
end

local function enroll(class_set, key, schema, whole)
  local added = redis.call('SADD', class_set, key) == 1
  local field = added and whole and roster_field(schema) or ''
  if field ~= '' then
    local roster = roster_of(class_set)
    if redis.call('HEXISTS', roster, field) == 1 or redis.call('SCARD', class_set) == 1 then
      redis.call('HINCRBY', roster, field, 1)
    end
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

local function settle_roster(class_set, schema)
  local field, size = roster_field(schema), redis.call('SCARD', class_set)
  if field ~= '' and size > 0 then
    redis.call('HSET', roster_of(class_set), field, size)
  end
end
