-- Extra commands of a model's own, which run in the step that saves or deletes its row.
-- A prelude: it reads ARGV in order through take() of entries.lua.
--
-- take_extras()          the last block of ARGV, which may be missing: their number; of each the place of the word that
--                        is to say what happened (0 for none), its number of words, and the words
-- run_extras(extras, op) runs them; to be called before the row is written, so that one that fails changes nothing
local function take_extras()
  local extras = {}
  for number = 1, tonumber(take() or 0) do
    local extra = {op_at = tonumber(take())}
    for word = 1, tonumber(take()) do
      extra[word] = take()
    end
    extras[number] = extra
  end
  return extras
end

local function run_extras(extras, op)
  for _, extra in ipairs(extras) do
    if extra.op_at > 0 then
      extra[extra.op_at] = op
    end
    redis.call(unpack(extra))
  end
end
