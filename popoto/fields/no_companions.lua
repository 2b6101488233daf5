-- What companions.lua defines for scripts that change rows, for a model without companions.
local companions = {}

local function take_companions()
  take()
  return companions
end

local function place_of() end
local companion_dropped, companions_look, companions_saved, companions_expire = place_of, place_of, place_of, place_of
local companions_dropped = place_of
