-- What digest.lua defines, for a model without composite indexes: defining SHA-256 at each call would cost more than a save.
-- A prelude.
local function is_composite(index)
  return false
end
local function composite_texts(index, row)
  return nil
end
local function composite_places(index, row)
  return {}
end
local function same_texts(one, other)
  return false
end
