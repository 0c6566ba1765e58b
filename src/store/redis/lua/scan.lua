#!lua flags=no-writes
--[[
  Reads the names of some keys of the store, as SCAN finds them, and how many keys the server has.

  ARGV[1]  cursor    where to go on; "0" for the beginning
  ARGV[2]  process   the process that gave the cursor. Another one cannot use it, and begins again
  ARGV[3]  most      about how many keys to look at
  ARGV[4]  prefix    what the keys begin with
  ARGV[5]  of        8 bytes that come back: they show whose reply this is

  Returns  {1, now, of, process, cursor, keys of the server, how many were looked at, key, …}
           A cursor of "0" says that these were the last.
  For administrators: it has no key of its own. The key that it is sent with only leads to this server.
]]
local cursor, process, most, prefix, of = unpack(ARGV)

local now = clock()
-- Without the permission this is an error: a cursor of an unknown process could skip keys.
local own = string.match(redis.call("INFO", "server"), "run_id:(%w+)") or ""
if own ~= process then
  cursor = "0"
end
local found = redis.call("SCAN", cursor, "COUNT", most)
local answer = { 1, now, of, own, found[1], redis.call("DBSIZE"), #found[2] }
for _, key in ipairs(found[2]) do
  -- After the prefix come 16 characters and a brace.
  if #key == #prefix + 17 and string.sub(key, 1, #prefix) == prefix then
    answer[#answer + 1] = key
  end
end
return answer
