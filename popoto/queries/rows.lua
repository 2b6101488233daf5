-- Rows as a query reads them: the fields of their hashes, and the lists that are kept behind their keys.
-- A prelude: it needs take() of words.lua.
--
-- take_names()                   the number of fields, and of each its name, of a list behind the row's key `::` and its name
-- stored_values(key, names)      a row's values; nil where no row is stored under the key
-- row_values(key, names, name)   the same behind a name for the row
-- include: popoto.fields held.lua
local function take_names()
  local names = {lists = {}}
  for number = 1, tonumber(take()) do
    names[number] = take()
    if string.sub(names[number], 1, 2) == '::' then
      names.lists[#names.lists + 1] = number
    end
  end
  return names
end

-- A list that is kept behind the row's key, as one msgpack array of its items; what is no list is one that cannot be read.
local function list_value(key)
  local items = held('LRANGE', key, 0, -1)
  if not items then
    return '\193'
  end
  local header = string.char(144 + #items % 16)
  if #items > 15 then
    header = '\220' .. string.char(math.floor(#items / 256), #items % 256)
  end
  return header .. table.concat(items)
end

local function stored_values(key, names)
  local values, last = held('HMGET', key, unpack(names)) or {}, 1
  while not values[last] do
    last = last + 1
    if last > #names then
      return nil
    end
  end
  for _, number in ipairs(names.lists) do
    values[number] = list_value(key .. names[number])
  end
  return values
end

local function row_values(key, names, name)
  local values = stored_values(key, names)
  if values then
    table.insert(values, 1, name)
  end
  return values
end
