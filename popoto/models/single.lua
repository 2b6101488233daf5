-- What digest.lua defines, for a model without composite indexes: defining SHA-256 at each call would cost more than a save.
-- A prelude.
local function is_composite() end
local composite_texts, composite_places, composite_moves = is_composite, is_composite, is_composite
