-- The number that a base field's stored bytes hold.
-- A prelude: it needs value_number() and value_text() of values.lua.
--
-- base_of(raw)   the number of an int, float or Decimal; 1 for anything else
local function base_of(raw)
  local number = value_number(raw)
  if not number and raw then
    local text = value_text('D', raw)
    number = text and tonumber((string.gsub(text, '/(.)', '%1')))
  end
  if not number or number ~= number then
    return 1
  end
  return number
end
