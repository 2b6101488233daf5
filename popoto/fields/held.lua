-- What keys hold, where others may keep something of another type under them.
-- A prelude.
--
-- held(command, key, ...)   the command's reply; nil for a key of another type. Any other error, as of a user's rights, is
--                           raised: nothing is known of the key then
local function held(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then
    return reply
  elseif string.find(tostring(reply.err), 'WRONGTYPE', 1, true) then
    return nil
  end
  return redis.call(...)
end
