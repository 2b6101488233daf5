-- What value_lists.lua defines, for a model without lists of distinct values.
local function listed_value() end
local unlist_value, enroll = listed_value, listed_value

local function withdraw(class_set, key)
  redis.call('SREM', class_set, key)
end
