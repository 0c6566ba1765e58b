#!lua flags=allow-oom
--[[
  Reads what sessions are, by their ids. It writes nothing, and a token has no part in it.

  KEYS[1]  user        hash: session id -> record

  ARGV[1]  not_before  sessions created or authenticated earlier are not live, ms
  ARGV[2]  given       the time, ms; "" for the server's
  ARGV[3]  of          8 bytes that come back: they show whose reply this is
  ARGV[4]  ids         session ids of 16 characters, one after the other

  Returns  {1, now, of, what, what, …}  one for each id, in their order:
           {created, authenticated, idle deadline, absolute deadline}  the session is live, ms;
                                                                       the first two with their era
           notice                                                      it ended
           record                                                      it began before `not_before`
           false                                                       it is unknown, or expired
]]
local user = KEYS[1]
local not_before, given, of, names = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]

local ids = {}
for from = 1, #names, 16 do
  ids[#ids + 1] = string.sub(names, from, from + 15)
end
local found = records(user, ids)
local now = clock(given)
local answer = { 1, now, of }
for at = 1, #ids do
  local record, what = found[at], false
  local created, authenticated, activity, idle, deadline, _, kind = live(record, now, not_before)
  if created then
    created, authenticated = struct.unpack(">i8i8", record, 11)
    local expires = math.min(activity + lasting(kind, idle), deadline)
    what = { created, authenticated, expires, deadline }
  elseif noticed(record, now) or live(record, now, -math.huge) then
    what = record
  end
  answer[#answer + 1] = what
end
return answer
