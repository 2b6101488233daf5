-- Extra commands of a model's own, which run in the step that saves or deletes its row.
-- A prelude: it reads ARGV in order through take() of words.lua.
--
-- take_extras()   the last block of ARGV, which may be missing: their number; of each the place of the word that is to
--                 say what happened and of the word that is to be the sum (0 for none), its number of words, and the words
-- run_extras(extras, op, sum)   runs them, the sum as a key part; nil, or the error of the first that fails; to be called
--                 before the row is written, so that one that fails changes nothing
local function take_extras()
  local extras = {}
  for number = 1, tonumber(take() or 0) do
    local extra = {op_at = tonumber(take()), sum_at = tonumber(take())}
    for word = 1, tonumber(take()) do
      extra[word] = take()
    end
    extras[number] = extra
  end
  return extras
end

local function run_extras(extras, op, sum)
  for _, extra in ipairs(extras) do
    if extra.op_at > 0 then
      extra[extra.op_at] = op
    end
    if extra.sum_at > 0 then
      -- A key part has marks before its signs.
      extra[extra.sum_at] = string.gsub(sum, '/(.)', '%1')
    end
    local reply = redis.pcall(unpack(extra))
    if type(reply) == 'table' and reply.err then
      return reply
    end
  end
end
