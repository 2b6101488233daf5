-- Rows judged by their stored bytes, and sources that need them: sets of what other rows are found for.
-- A prelude: it needs values.lua, entries.lua, texts.lua and sources.lua, in this order.
--
-- index_sources(schema)  gives each S, Z, G, T and R its index, in order, and turns each R into sets; false when one is
--   about too many rows
-- confirmed(source, row) whether a row's stored bytes say that it belongs where an index has it; row.key is its key
-- row_under(key, tree)   a row as confirmed() wants it; of `whole` when it is one of the model's own
-- More related rows than this in one script would hold the server, and so would looking at more members for them.
local MOST_RELATED, MOST_LOOKED = 1000, 10000

local function confirmed(source, row)
  if source.kind == 'K' then
    return is_named(source, row.key)
  elseif source.kind == 'T' then
    return texts.holds(source, row[source.index.field])
  end
  if source.index then
    -- The canonical key alone: 1.x's spelling of one value may be ours of another.
    local key = entry_keys(source.index, row)
    -- A writer that left the index alone: the row's own number decides, where it has one.
    local score = source.kind == 'Z' and value_number(row[source.index.field])
    return key and source.has[key] and (not score or between(source, score))
  end
  for _, branch in ipairs(source.branches) do
    if (source.kind == 'O') == (confirmed(branch, row) and true or false) then
      return source.kind == 'O'
    end
  end
  return source.kind == 'A'
end

-- A row as confirmed() wants it; nil when nothing is stored under the key.
local function row_under(key, tree)
  local row, wrong = read_row(key, tree.schema)
  row.key = key
  if wrong then
    return nil
  elseif #tree.indexed > 0 or redis.call('EXISTS', key) == 1 then
    return row
  end
end

local function index_sources(schema, tree)
  tree = tree or whole
  tree.schema = schema
  for place, source in ipairs(tree.indexed) do
    source.index = schema[place]
    if source.kind == 'R' then
      -- The keys of the rows that satisfy the other tree; nil when they are too many.
      local function keys_of(other)
        if not index_sources(other.schema, other) then
          return nil
        end
        local found, had, looked = {}, {}, 0
        local walks = driver(other.root)
        local walk = new_walk(walks, '', CHUNK)
        while walk.number <= #walks do
          local leaf = walks[walk.number]
          local members, cost = next_chunk(walk)
          looked = looked + math.max(cost, 7 * #members)
          for _, member in ipairs(filtered(other.root, leaf, members)) do
            local row = not had[member] and row_under(member, other)
            had[member] = true
            if row and confirmed(other.root, row) then
              found[#found + 1] = member
            end
          end
          if #found > MOST_RELATED or (looked + tested >= MOST_LOOKED and walk.number <= #walks) then
            return nil
          end
        end
        return found
      end

      local others = keys_of(source.others)
      if not others then
        return false
      end
      -- Cursors name the set, as other rows may satisfy the tree when it is asked again.
      source.kind, source.by_name, source.own = 'S', true, {source.index}
      table.sort(others, precedes)
      for number, other in ipairs(others) do
        source.keys[number] = source.index.base .. ':' .. string.sub(other, source.strip + 1)
        source.has[source.keys[number]] = true
      end
    end
  end
  return true
end
