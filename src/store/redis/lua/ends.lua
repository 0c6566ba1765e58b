--[[
  Continues `live.lua` behind `hash.lua`, whose `finish` is `finish_quietly` here.
]]
-- Ends a live session, and notes it for the message.
local function finish(key, id, record, cause, now, wrote, gone)
  ended[#ended + 1] = id .. string.char(cause.reason)
  finish_quietly(key, id, record, cause, now, wrote, gone)
end
