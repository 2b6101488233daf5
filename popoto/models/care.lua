-- Finds, and when asked removes, the entries of one set, sorted set or hash that no row has.
-- KEYS: 1 the set, sorted set or hash. ARGV: 1 to remove; number of members (of a hash its fields) and the members;
--   the schema as entries.lua reads it: the one index, or none for the class set and for what a companion keeps; the
--   companions as companions.lua reads them: the one whose members these are, or none; the number of its store.
-- Returns the members that are strays; of a composite index the keys of rows that its stray fields name.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.fields companions.lua
-- pieces: fragments
-- pieces: lists
-- pieces: composites
local removing = take() == '1'
local members = {}
for number = 1, tonumber(take()) do
  members[number] = take()
end
local schema = take_schema()
schema.companions = take_companions()
local index, companion, store_number = schema[1], companions[1], tonumber(take())
local strays = {}
local composite = index and is_composite(index)
local remove = composite and 'HDEL' or index and is_sorted(index) and 'ZREM' or 'SREM'

-- What the key of every row begins with, where the class set is looked at.
local own = string.gsub(KEYS[1], '%$Class:', '', 1) .. ':'

local function is_row(key)
  local size = held('HLEN', key)
  return size and size > 0
end

local function has_place(member)
  local key = redis.call('HGET', KEYS[1], member)
  for _, digest in ipairs(key and composite_places(index, read_row(key, schema)) or {}) do
    if digest == member then
      return true
    end
  end
  return false
end

-- A row's companion keeps things at the row's place alone. What is kept for no row goes whole, what a row has left
-- behind in another place goes alone.
local function companion_kept(member)
  local there = is_row(member)
  local place = there and place_of(companion, read_row(member, schema))
  local store = companion.stores[store_number]
  local own = OWN[store.kind]
  if there and (own or (place and store_key(companion, store_number, place, member) == KEYS[1])) then
    return true
  end
  if removing then
    local former = string.sub(KEYS[1], #store.before + 1, #KEYS[1] - #store.after)
    if there then
      redis.call(TAKES[store.kind], KEYS[1], member)
    else
      companion_dropped(companion, member, own and '' or former)
    end
  end
  return false
end

for _, member in ipairs(members) do
  local kept
  if companion then
    kept = companion_kept(member)
    if not kept then
      strays[#strays + 1] = member
    end
    kept = true
  elseif composite then
    kept = has_place(member)
  else
    kept = is_row(member) and (index or string.sub(member, 1, #own) == own)
  end
  if kept and index and not composite then
    local key, legacy = entry_keys(index, read_row(member, schema))
    kept = key == KEYS[1] or legacy == KEYS[1]
  end
  if not kept then
    strays[#strays + 1] = composite and redis.call('HGET', KEYS[1], member) or member
    if removing and not index then
      withdraw(KEYS[1], member)
    elseif removing then
      redis.call(remove, KEYS[1], member)
      unlist_value(index.list, KEYS[1])
    end
  end
end
return strays
