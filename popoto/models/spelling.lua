-- Older spellings of a row's key: 1.x escaped a few values otherwise, so that two values could share a key.
-- A prelude: KEYS from `first` on are the spellings.
--
-- older_key(key, first, names, values)   the first that holds a row of just these key values, unless one has the key
local function older_key(key, first, names, values)
  if #names == 0 or redis.call('EXISTS', key) == 1 then
    return nil
  end
  for number = first, #KEYS do
    local same = true
    for _, name in ipairs(names) do
      same = same and redis.call('HGET', KEYS[number], name) == values[name]
    end
    if same then
      return KEYS[number]
    end
  end
end
