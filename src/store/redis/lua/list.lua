#!lua flags=allow-oom
--[[
  Reads the live sessions of a user and deletes what has expired.

  KEYS[1]  user        hash: session id -> record

  ARGV[1]  not_before  sessions created or authenticated earlier are not live, ms. They stay, so
                       that their browsers get the reason
  ARGV[2]  within      the mark of a realm, 3 bytes: only its sessions; "" for all
  ARGV[3]  given       the time, ms; "" for the server's
  ARGV[4]  of          8 bytes that come back: they show whose reply this is

  Returns  {1, now, of, id, record, id, record, …}
]]
local user = KEYS[1]
local not_before, within, given, of = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]

local ids = split(redis.call("HKEYS", user))
local found = records(user, ids)
local now = clock(given)
local answer, passed, n = { 1, now, of }, {}, 3
local realm = within ~= "" and struct.unpack(">I3", within)
for at = 1, #ids do
  local record = found[at]
  local created, _, _, _, _, _, _, _, place = live(record, now, not_before)
  if created then
    if not realm or place == realm then
      answer[n + 1], answer[n + 2], n = ids[at], record, n + 2
    end
  elseif is_over(record, now) and not live(record, now, -math.huge) then
    passed[#passed + 1] = ids[at]
  end
end
drop(user, passed)
return answer
