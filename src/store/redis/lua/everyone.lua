#!lua flags=allow-oom
--[[
  Reads the moment before which the sessions of all users ended. It has no TTL. A Cluster has copies
  of it on several primaries.

  KEYS[1]  everyone  hash: "moment" -> ms

  ARGV[1]  least     the moment is at least this, ms: if the stored one is earlier, this one is stored.
                     "" only reads
  ARGV[2]  always    "1" writes in any case: replicas have to confirm it
  ARGV[3]  given     the time, ms; "" for the server's
  ARGV[4]  of        8 bytes that come back: they show whose reply this is

  Returns  {1, now, of, moment or false}
]]
local everyone = KEYS[1]
local least, always, given, of = unpack(ARGV)

local now = clock(given)
local moment = tonumber(redis.call("HGET", everyone, "moment") or "")
if least ~= "" and (always == "1" or not moment or moment < tonumber(least)) then
  moment = math.max(moment or -math.huge, tonumber(least))
  redis.call("HSET", everyone, "moment", string.format("%.0f", moment))
end
return { 1, now, of, moment or false }
