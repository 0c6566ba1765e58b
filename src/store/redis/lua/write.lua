--[[
  Continues `seat.lua`: writes all that, and deletes what is over.
]]
-- The new session is written before others are deleted, because an empty hash would lose its TTL.
for from = 1, #wrote, CHUNK do
  redis.call("HSET", user, unpack(wrote, from, math.min(from + CHUNK - 1, #wrote)))
end
local marks, since = moments(ids, found, all.markers or {}, 44)
if replaces ~= "" and not old and not noticed(redis.call("HGET", user, replaces), now) then
  -- What expired under this id goes first.
  drop(user, all.passed)
  all.passed = {}
  mark(user, replaces, REPLACED, session, MINUTE, now)
  marks[#marks + 1], since[#since + 1] = replaces, now
end
gone[#gone + 1] = redeem ~= "" and string.sub(redeem, 1, 16) or nil
-- A sign-in that does not count has no limit of the user's to go by. Those of the sessions that
-- ended for this one stay in any case.
local stay = math.max(class == UNCOUNTED and NOTICES or limit, #ended / 2 + (old and 1 or 0))
oldest(names, times, math.min(stay, NOTICES), gone)
oldest(marks, since, MARKERS, gone)
drop(user, all.passed, gone)
local lives = ttl(now, lasting(kind + 128, idle), deadline)
lives = #names > 0 and kept > lives and kept or lives
keep(user, #marks > 0 and MINUTE > lives and MINUTE or lives)
if not cutoff and #data == 0 and #ended == 0 and not old and is_new == 0 then
  return header .. of
end
local answer = { 1, now, of, cutoff or false, record, data, replaced or "", is_new }
for at = 1, #ended do
  answer[at + 8] = ended[at]
end
return answer
