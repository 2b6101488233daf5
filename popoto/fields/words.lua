-- Words: a script's arguments, one after another.
-- A prelude: it reads ARGV.
--
-- take()   the next argument
local at = 0

local function take()
  at = at + 1
  return ARGV[at]
end
