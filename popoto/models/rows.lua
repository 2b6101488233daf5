-- Rows that one call changes, each atomic in itself: what refuses one leaves the others alone.
-- A prelude: it reads ARGV in order through take() of words.lua: the number of rows; of each its number of KEYS and what
-- the script reads of it.
--
-- each_row(change)   calls change(first, last) for each row, with the places of its KEYS. Returns what that does where the
--                    row is the only one; of several a list of pairs: 1 and what it has returned, or 0 and an error's text
local function each_row(change)
  local count, first = tonumber(take()), 1
  if count == 1 then
    return change(1, tonumber(take()))
  end
  local replies = {}
  for number = 1, count do
    local last = first - 1 + tonumber(take())
    local fine, reply = pcall(change, first, last)
    if type(reply) == 'table' and reply.err then
      fine, reply = false, reply.err
    elseif not fine then
      -- Redis 6.2 raises texts, which name the line alone; the fake raises objects.
      reply = 'ERR Error running script: @user_script: 0: ' .. tostring(reply)
    end
    replies[number], first = {fine and 1 or 0, reply}, last + 1
  end
  return replies
end
