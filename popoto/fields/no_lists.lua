-- What value_lists.lua defines, for a model without lists of distinct values.
local function unlisted_value() end
local function unlist_value() end
local function listed_set() end
local function set_of() end

local function enroll(class_set, key)
  redis.call('SADD', class_set, key)
end

local function withdraw(class_set, key)
  redis.call('SREM', class_set, key)
end
