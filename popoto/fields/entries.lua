-- Index entries: which sets and sorted sets a stored row is a member of, told from the bytes of its fields.
-- A prelude: it reads ARGV through arguments.lua, and needs value_text() of values.lua.
--
-- take_schema()      the indexes: their number; of each kind (S, U, Z or G), base key, field, code, the key of its list
--                    of values or '', number of partitions, and of each partition field and code
-- read_row(key, schema)     the fields that the indexes and schema.companions need, and those of schema.more, by name;
--                           false where one is missing; the receipt as its texts by name, nil for none
-- text_of(field, code, row) the escaped part of a field's value, and the one that 1.x used
-- entry_keys(index, row)    the key of the row's entry, and the one that 1.x used; nil where it has none
-- read_tokens(text), write_tokens(tokens)  the receipt: texts of values that bytes do not tell, kept in `$idx`
-- include: popoto.fields arguments.lua
-- include: popoto.fields held.lua
local RECEIPT = '$idx'
local NIL = '\192'
local NONE = {}

local function take_schema()
  local schema = {}
  for number = 1, tonumber(take()) do
    local index = {kind = take(), base = take(), field = take(), code = take(), list = take(), partitions = {}}
    index.list = index.list ~= '' and index.list or nil
    for part = 1, tonumber(take()) do
      index.partitions[part] = {field = take(), code = take()}
    end
    schema[number] = index
  end
  return schema
end

-- As netstrings: length, colon, name, length, colon, text.
local function read_tokens(text)
  local tokens, place = {}, 1
  local function piece()
    local colon = string.find(text, ':', place, true)
    local length = tonumber(string.sub(text, place, colon - 1))
    place = colon + length + 1
    return string.sub(text, colon + 1, colon + length)
  end
  while place <= #text do
    local name = piece()
    tokens[name] = piece()
  end
  return tokens
end

local function write_tokens(tokens)
  local names = {}
  for name in pairs(tokens) do
    names[#names + 1] = name
  end
  table.sort(names)
  for number, name in ipairs(names) do
    names[number] = #name .. ':' .. name .. #tokens[name] .. ':' .. tokens[name]
  end
  return table.concat(names)
end

local function needed_fields(schema)
  local names, seen = {}, {}
  local function need(name)
    if not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  for _, index in ipairs(schema) do
    need(index.field)
    for _, part in ipairs(index.partitions or NONE) do
      need(part.field)
    end
  end
  for _, one in ipairs(schema.companions or {}) do
    for _, part in ipairs(one.partitions) do
      need(part.field)
    end
    for _, name in ipairs(one.fields) do
      need(name)
    end
  end
  for _, name in ipairs(schema.more or {}) do
    need(name)
  end
  need(RECEIPT)
  return names
end

-- Sets are S and U, sorted sets Z and G.
local function is_sorted(index)
  return index.kind == 'Z' or index.kind == 'G'
end

local function read_row(key, schema)
  local names = schema.names or needed_fields(schema)
  schema.names = names
  local values = held('HMGET', key, unpack(names))
  local row = {}
  if not values then
    return row, 'WRONGTYPE ' .. key .. ' holds no hash'
  end
  for number, name in ipairs(names) do
    row[name] = values[number]
  end
  row[RECEIPT] = row[RECEIPT] and read_tokens(row[RECEIPT]) or nil
  return row
end

local function text_of(field, code, row)
  if code == 'x' then
    local token = row[RECEIPT] and row[RECEIPT][field]
    if row[field] == NIL then
      token = 'None'
    end
    return token, token
  end
  return value_text(code, row[field])
end

local function entry_keys(index, row)
  local raw = row[index.field]
  if not raw then
    return nil, nil
  end
  if index.kind == 'G' then
    -- No place is a pair of nils.
    if raw == NIL or string.sub(raw, -3) == '\146\192\192' then
      return nil, nil
    end
    return index.base, index.base
  end
  if index.kind ~= 'Z' then
    local text, legacy = text_of(index.field, index.code, row)
    if not text then
      return nil, nil
    end
    local key = index.base .. ':' .. text
    return key, legacy == text and key or index.base .. ':' .. legacy
  end
  if raw == NIL then
    return nil, nil
  end
  local key, former = index.base, index.base
  for _, part in ipairs(index.partitions or NONE) do
    local text, legacy = text_of(part.field, part.code, row)
    if not text then
      return nil, nil
    end
    key, former = key .. ':' .. text, former .. ':' .. legacy
  end
  return key, former
end
