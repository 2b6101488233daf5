-- Texts in the order of their bytes, as sorted sets and Python have them: `<` asks the server's locale.
-- A prelude.
--
-- precedes(one, other)   whether a text comes before another
local precedes = function(one, other)
  return one < other
end

-- Where a locale orders letters as dictionaries do.
if 'a' < 'Z' then
  precedes = function(one, other)
    local byte = string.byte
    for place = 1, math.min(#one, #other) do
      local here, there = byte(one, place), byte(other, place)
      if here ~= there then
        return here < there
      end
    end
    return #one < #other
  end
end
