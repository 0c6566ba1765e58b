--[[
  Continues `live.lua` behind `hash.lua`, whose `finish` is `finish_quietly` here.
]]
-- Ends a live session, and notes it for the message.
local function finish(key, session, cause, now)
  ended[#ended + 1] = session.id .. string.char(cause.reason)
  return finish_quietly(key, session, cause, now)
end
