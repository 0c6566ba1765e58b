#!lua flags=allow-oom
--[[
  Tries each command of the other scripts once, and leaves nothing behind. Writes are tried only if
  they can be taken back.

  KEYS[1]  key  of no user

  Returns  {error or "", …}  for TIME, HGET, HKEYS, HMGET, HLEN, HDEL, PEXPIRE and HSET, in this order
]]
local key, wrong = KEYS[1], {}

local function try(...)
  local done = redis.pcall(...)
  wrong[#wrong + 1] = type(done) == "table" and done.err or ""
end

try("TIME")
try("HGET", key, "f")
try("HKEYS", key)
try("HMGET", key, "f")
try("HLEN", key)
try("HDEL", key, "f")
try("PEXPIRE", key, 1000)
if wrong[6] == "" then
  try("HSET", key, "f", "v")
  redis.pcall("HDEL", key, "f")
end
return wrong
