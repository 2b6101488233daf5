-- The expiry ledger: which rows will expire, when, and the index entries that go with them.
-- A prelude: it needs entries.lua, value_lists.lua, companions.lua and digest.lua. The ledger is a sorted set of keys by
-- expiry in Unix milliseconds, the receipts a hash of each key's entries: netstrings, S or Z before the key of the set or
-- sorted set, V before the length of the key of a list of values, a colon, that key and the set's, H before the digest, a
-- colon and the key of a composite index's hash, C before the name of a companion, a line feed and its place.
--
-- is_ledgered(ledger, receipts)                  whether any row is remembered; a script looks once, most models have none
-- ledgered                                       what it has found; a script that knows already may say so
-- keep_ledger()                                  defines what follows, as is_ledgered() does when there is any: a script
--                                                seldom wants it
-- note(ledger, receipts, key, at, row, schema)   remember a row that will expire
-- forget(ledger, receipts, key)                  remember it no more
-- release(receipts, key)                         remove the entries of a row that has expired
-- reap(ledger, receipts, class_set, now, most)   do so with rows of the ledger; how many it looked at
local ledgered
local note, forget, release, reap

local function keep_ledger()
  note = function(ledger, receipts, key, at, row, schema)
    local entries = {}
    local function add(entry)
      entries[#entries + 1] = #entry .. ':' .. entry
    end
    for _, index in ipairs(schema) do
      local entry, legacy = entry_keys(index, row)
      if entry and index.list then
        add('V' .. #index.list .. ':' .. index.list .. entry)
      elseif entry then
        add((is_sorted(index) and 'Z' or 'S') .. entry)
      end
      if legacy ~= entry then
        add((is_sorted(index) and 'Z' or 'S') .. legacy)
      end
      for _, digest in ipairs(is_composite(index) and composite_places(index, row) or {}) do
        add('H' .. digest .. ':' .. index.base)
      end
    end
    for _, one in ipairs(companions) do
      local place = place_of(one, row)
      if place then
        add('C' .. one.name .. '\n' .. place)
      end
    end
    redis.call('HSET', receipts, key, table.concat(entries))
    redis.call('ZADD', ledger, string.format('%.17g', at), key)
    ledgered = true
  end

  forget = function(ledger, receipts, key)
    if redis.call('ZREM', ledger, key) == 1 then
      redis.call('HDEL', receipts, key)
    end
  end

  release = function(receipts, key)
    local text, place = redis.call('HGET', receipts, key) or '', 1
    while place <= #text do
      local colon = string.find(text, ':', place, true)
      local length = tonumber(string.sub(text, place, colon - 1))
      local kind, entry = string.sub(text, colon + 1, colon + 1), string.sub(text, colon + 2, colon + length)
      if kind == 'H' then
        local digest, base = string.match(entry, '^([^:]*):(.*)$')
        if redis.call('HGET', base, digest) == key then
          redis.call('HDEL', base, digest)
        end
      elseif kind == 'V' then
        local size, rest = string.match(entry, '^(%d+):(.*)$')
        local list, set = string.sub(rest, 1, tonumber(size)), string.sub(rest, tonumber(size) + 1)
        redis.call('SREM', set, key)
        unlist_value(list, set)
      elseif kind == 'C' then
        local name, where = string.match(entry, '^([^\n]*)\n(.*)$')
        if companions[name] then
          companion_dropped(companions[name], key, where)
        end
      else
        redis.call(kind == 'Z' and 'ZREM' or 'SREM', entry, key)
      end
      place = colon + length + 1
    end
  end

  reap = function(ledger, receipts, class_set, now, most)
    local due = redis.call('ZRANGE', ledger, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
    for _, key in ipairs(due) do
      -- The client's clock only says where to look: a row that is still there keeps its entries. It is noted anew, so
      -- that rows whose time was changed behind our back do not stand before the others for ever.
      local left = redis.call('PTTL', key)
      if left == -2 then
        release(receipts, key)
        withdraw(class_set, key)
        forget(ledger, receipts, key)
      elseif left == -1 then
        forget(ledger, receipts, key)
      else
        redis.call('ZADD', ledger, string.format('%.17g', tonumber(now) + left + 1), key)
      end
    end
    return #due
  end
end

local function is_ledgered(ledger, receipts)
  if ledgered == nil then
    ledgered = redis.call('EXISTS', ledger, receipts) > 0
  end
  if ledgered and not note then
    keep_ledger()
  end
  return ledgered
end
