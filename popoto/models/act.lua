-- Does some things to what one row's companions keep: all of them, or none when the row is gone.
-- KEYS: 1 the row. ARGV: the present in Unix milliseconds; 1 when nothing is written; the companions as companions.lua
--   reads them; number of actions, and of each the companion's name, the verb, its condition (the name of a noted number,
--   what it must exceed and the most that it may be, each '' for none), number of words and the words; the block of
--   extras.lua, or nothing.
-- Returns each action's reply, in order; false where its condition did not hold. Error: GONE key, with nothing changed.
-- include: popoto.fields values.lua
-- include: popoto.fields entries.lua
-- include: popoto.models arithmetic.lua
-- include: popoto.fields companions.lua
-- pieces: fragments
-- include: popoto.models extras.lua
local row_key, now, reading = KEYS[1], take(), take() == '1'
local schema = {companions = take_companions()}
local actions = {}
for number = 1, tonumber(take()) do
  actions[number] = {
    one = companions[take()], verb = take(), noted = take(), above = tonumber(take()), most = tonumber(take()),
    words = take_list(),
  }
end
local extras = take_extras()
local row, wrong = read_row(row_key, schema)
if wrong or redis.call('EXISTS', row_key) == 0 then
  return redis.error_reply('GONE ' .. row_key)
end
local event = {op = 'update', key = row_key, after = row, now = now, noted = {}}

local function is_due(action)
  if action.noted == '' then
    return not event.stopped
  end
  local number = event.noted[action.noted]
  return not event.stopped and number
    and (not action.above or number > action.above) and (not action.most or number <= action.most)
end

local refused = run_extras(extras, 'update')
if refused then
  return refused
end
local replies = {}
for number, action in ipairs(actions) do
  event.to = place_of(action.one, row)
  local reply
  if event.to and is_due(action) then
    reply = companion_kinds[action.one.kind].acts[action.verb](action.one, event, action.words)
  end
  replies[number] = reply or false
end
if not reading then
  companions_expire(row_key, redis.call('PTTL', row_key))
end
return replies
