--[[
  Continues `live.lua` behind `tokens.lua`, whose `used` is `used_quietly` here.
]]
-- The record after the first request with a new token, which is noted for the message.
local function used(record, kind, now)
  changed = ALL and 4
  return used_quietly(record, kind, now)
end
