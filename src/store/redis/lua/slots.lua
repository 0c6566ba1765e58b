#!lua flags=no-writes
--[[
  Reads the names of the keys of the store that this primary has in some slots, one slot after the other.

  ARGV[1]  from    the first slot
  ARGV[2]  most    after so many keys it stops, at the end of a slot
  ARGV[3]  prefix  what the keys begin with
  ARGV[4]  of      8 bytes that come back: they show whose reply this is

  Returns  {1, now, of, the slot to go on with, the answer to CLUSTER NODES, key, …}
  For administrators: it has no key of its own. The key that it is sent with only leads to this server.
]]
local from, most, prefix, of = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]

local now = clock()
local answer, slot = { 1, now, of, from, redis.call("CLUSTER", "NODES") }, from
while slot < 16384 and slot < from + 512 and #answer < most + 5 do
  local count = redis.call("CLUSTER", "COUNTKEYSINSLOT", slot)
  for _, key in ipairs(count > 0 and redis.call("CLUSTER", "GETKEYSINSLOT", slot, count) or {}) do
    -- After the prefix come 16 characters and a brace.
    if #key == #prefix + 17 and string.sub(key, 1, #prefix) == prefix then
      answer[#answer + 1] = key
    end
  end
  slot = slot + 1
end
answer[4] = slot
return answer
