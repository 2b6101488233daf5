-- Sources of texts: the list of a field's distinct values, and the tests of rows by their values' texts.
-- A prelude: it needs values.lua, entries.lua and held.lua. What a script defines costs at every call, so this is defined at need.
--
-- with_texts()   defines the rest
-- texts.take(source, tree)         reads the source from ARGV, once its keys are known
-- texts.measure(source)            how many members it has, and what to walk for them
-- texts.flags(members, source)     which members' values have the text, by their place
-- texts.holds(source, raw)         whether the text of stored bytes is wanted
-- texts.chunk(walk, source)        some members, how many values were looked at for them, and whether these were the last
-- tested                           what tests of rows have cost so far, as the members of a set that could be looked at
local texts, tested = {}, 0

local function with_texts()
  if texts.take then
    return
  end

  texts.matches = function(source, text)
    local wanted = source.text
    if source.mode == 'startswith' then
      return string.sub(text, 1, #wanted) == wanted
    elseif source.mode == 'endswith' then
      return #text >= #wanted and string.sub(text, #text - #wanted + 1) == wanted
    end
    return string.find(text, wanted, 1, true) ~= nil
  end

  texts.key = function(index, text)
    return index.base .. ':' .. text_part(text)
  end

  -- The list of values is believed when every row of the class set was entered on the roster.
  texts.take = function(source, tree)
    source.mode, source.text, source.from, source.to = take(), take(), '-', '+'
    if source.mode == 'startswith' then
      source.from, source.to = '[' .. source.text, '(' .. source.text .. '\255'
    end
    local on_roster = take()
    source.named = take() == '1'
    source.list = #source.keys == 2 and source.keys[1]
    if source.list then
      local entered = redis.call('HGET', source.keys[2], on_roster)
      source.listed = tonumber(entered or '-1') == redis.call('SCARD', tree.class.keys[1])
    end
    -- A row's key begins with what the class set's begins with, and the model's name instead of `$Class:` and that name.
    source.key_from = #tree.class.keys[1] - 5
  end

  -- How many members a source of texts has: few values are counted, of many the share that may match is guessed.
  texts.measure = function(source)
    if not source.listed then
      source.size, source.walks = source.class.size, {source.class}
      return
    end
    local all = redis.call('ZCARD', source.list)
    local values = source.mode == 'startswith' and redis.call('ZLEXCOUNT', source.list, source.from, source.to) or all
    source.size, source.walks = 0, {source}
    source.counted = values <= 64
    if source.counted then
      for _, value in ipairs(redis.call('ZRANGE', source.list, source.from, source.to, 'BYLEX')) do
        if texts.matches(source, value) then
          source.size = source.size + redis.call('SCARD', texts.key(source.index, value))
        end
      end
    else
      local share = source.mode == 'startswith' and 1 or 8
      source.size = math.floor(values * source.class.size / all / share + values / 8)
    end
  end

  -- Whether the text of stored bytes is wanted; nil where they do not tell. Without bytes it is not, as for equality.
  texts.holds = function(source, raw)
    if not raw or raw == NIL then
      return false
    end
    local text = plain_text(source.index.code, raw)
    if text then
      return texts.matches(source, text)
    end
    return nil
  end

  -- Whether a row's only key value may have the wanted text; 1.x did not mark a literal `{&#58;}`.
  local function name_holds(source, member)
    local part = string.sub(member, source.key_from)
    return texts.matches(source, part_text(part))
      or (string.find(part, '{&#58;}', 1, true) and texts.matches(source, (string.gsub(part, '/(.)', '%1'))))
  end

  texts.flags = function(members, source)
    local good = {}
    tested = tested + (source.named and 2 or 6) * #members
    for place, member in ipairs(members) do
      if source.named then
        good[place] = name_holds(source, member)
      else
        local raw = held('HGET', member, source.index.field)
        good[place] = raw ~= nil and texts.holds(source, raw) ~= false
      end
    end
    return good
  end

  local function found_in(walk, key, some, members)
    for _, member in ipairs(some) do
      members[#members + 1] = member
      walk.origin[member] = walk.origin[member] or {}
      walk.origin[member][key] = true
    end
  end

  -- The sets of the next values that match; one of more than 100 members is walked alone.
  texts.chunk = function(walk, source)
    local members = {}
    walk.origin = {}
    if walk.place then
      local key = texts.key(source.index, walk.text)
      local reply = redis.call('SSCAN', key, walk.place, 'COUNT', walk.step)
      walk.place = reply[1] ~= '0' and reply[1] or nil
      found_in(walk, key, reply[2], members)
      return members, 0
    end
    local from = walk.seen == 1 and '(' .. walk.text or source.from
    local values = redis.call('ZRANGE', source.list, from, source.to, 'BYLEX', 'LIMIT', 0, 500)
    for number, value in ipairs(values) do
      walk.text, walk.seen = value, 1
      if texts.matches(source, value) then
        local key = texts.key(source.index, value)
        if redis.call('SCARD', key) > 100 then
          walk.place = '0'
          return members, number
        end
        found_in(walk, key, redis.call('SMEMBERS', key), members)
        if #members >= walk.step then
          return members, number
        end
      end
    end
    return members, #values, #values < 500
  end
end
