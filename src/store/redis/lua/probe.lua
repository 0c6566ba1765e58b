#!lua flags=allow-oom
--[[
  Shows that the server runs scripts that may write, and tells its time. It touches no key.

  KEYS     none

  ARGV[1]  of  8 bytes that come back: they show whose reply this is

  Returns  {1, now, of}
]]
local time = redis.call("TIME")
return { 1, time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1] }
