--[[
  Continues `live.lua` behind `tokens.lua`, whose `used` and `taken_over` are `used_quietly` and
  `taken_over_quietly` here.
]]
-- The record after the first request with a new token, which is noted for the message.
local function used(record, kind, now)
  changed = ALL and 4
  return used_quietly(record, kind, now)
end

-- The same for the other of two tokens, which becomes the current one.
local function taken_over(record)
  local after = taken_over_quietly(record)
  changed = after ~= record and ALL and 4 or changed
  return after
end
