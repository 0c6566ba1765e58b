#!lua flags=allow-oom
--[[
  Publishes a message of a node: to itself, to find out whether messages arrive, or to all nodes. The
  store puts the local PUBLISH before it, which is the command.

  KEYS[1]  user     a key on this server; it is not touched

  ARGV[1]  channel  in the slot of the key
  ARGV[2]  message
  ARGV[3]  of       8 bytes that come back: they show whose reply this is

  Returns  {1, now, of}         sent
           {0, now, of, error}  the user of the store may not
]]
local user = KEYS[1]
local channel, message, of = unpack(ARGV)

local now = clock()
local sent = redis.pcall(PUBLISH, channel, message)
if type(sent) == "table" and sent.err then
  return { 0, now, of, sent.err }
end
return { 1, now, of }
