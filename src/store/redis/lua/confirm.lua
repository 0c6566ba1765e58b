--[[
  Comes first in a script that replicas have to confirm. `WAIT` confirms at once what wrote nothing,
  even if an earlier write of the same session has not reached the replicas.
]]
-- Writes something that leaves nothing behind.
local function touch(key)
  redis.call("HSET", key, "confirm", "")
  redis.call("HDEL", key, "confirm")
end
