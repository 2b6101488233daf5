-- Signals: numbers that rows have, each with the orders in which those come that add most to a ranking.
-- A prelude: it needs take_key() and to_number() of sources.lua and new_order() of orders.lua. The kinds that rooms
-- bring follow it.
--
-- signal_kinds[kind](signal)   gives a signal, which has weight, keys, words and beside (keys, '' for none), its
--   orders, and
--   raw(members, order, scores)   the numbers of some rows, nil where a row has none; and the moments by which equal
--     scores are told; the order that is walked and the members' scores in it spare looking these up
--   bound()        the most that an unseen row may add, nil when no unseen row has the signal
--   edge()         the key before which no unseen row is that adds just that much; nil where that is not known
--   bounded        false where the bound says nothing before all were seen
--   cost           how much raw() looks up for a row
-- take_signals()   number of signals; of each kind, weight, number of keys, number of words and the words, number of
--   keys beside and of each 1, or 0 for none
-- product(one, other)   never NaN: what is no number adds nothing
-- signal_scores(keys, members, order, scores)   the members' scores in any of some sorted sets
local now_seconds = tonumber(take())
local signal_kinds = {}

local function product(one, other)
  local result = one * other
  return result == result and result or 0
end

local function signal_scores(keys, members, order, scores)
  if order and #keys == 1 and order.key == keys[1] then
    return scores
  end
  local found = {}
  for _, key in ipairs(keys) do
    for place, text in ipairs(redis.call('ZMSCORE', key, unpack(members))) do
      if text and not found[place] then
        found[place] = tonumber(text) or to_number(text)
      end
    end
  end
  return found
end

signal_kinds.score = function(signal)
  for place, key in ipairs(signal.keys) do
    local down = signal.weight >= 0
    signal.orders[place] = new_order(key, down, down and '+inf' or '-inf', down and '-inf' or '+inf')
  end

  function signal.raw(members, order, scores)
    return signal_scores(signal.keys, members, order, scores)
  end

  function signal.bound()
    local most
    for _, order in ipairs(signal.orders) do
      if not order.ended then
        local reached = product(signal.weight, order.frontier)
        most = (not most or reached > most) and reached or most
      end
    end
    return most
  end

  function signal.edge()
    return #signal.orders == 1 and signal.orders[1].last_key
  end
end

local function take_signals()
  local signals = {}
  for number = 1, tonumber(take()) do
    local signal = {kind = take(), weight = to_number(take()), keys = {}, words = {}, beside = {}, orders = {}}
    signal.number, signal.bounded, signal.short = number, true, 0
    for place = 1, tonumber(take()) do
      signal.keys[place] = take_key()
    end
    signal.cost = #signal.keys
    for place = 1, tonumber(take()) do
      signal.words[place] = take()
    end
    for place = 1, tonumber(take()) do
      signal.beside[place] = take() == '1' and take_key() or ''
    end
    signals[number] = signal
  end
  for _, signal in ipairs(signals) do
    signal_kinds[signal.kind](signal)
  end
  return signals
end
