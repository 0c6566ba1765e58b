--[[
  Continues `create.lua`, after the preludes: decides whether the new session is made, and which
  sessions end for it. `create.lua` lists the arguments and the returns.
]]
replaces, redeem, device, offer = replaces or "", redeem or "", device or "", offer or ""
local ids, made, has = split(fields)
local cutoff, there = has.cut and cutoff_of(user, now), #ids > 64
-- To look through a few ids takes less time than a command.
for at = 1, there and 0 or #ids do
  there = there or ids[at] == session
end
local again = there and redis.call("HGET", user, session)
if again then
  local created, _, _, _, _, _, unused = live(again, now, not_before)
  if not created or string.sub(again, 51, 82) ~= digest then
    return { 4, now, of }
  end
  unused = unused > 127 and now - created < MINUTE
  return repeated({ 1, now, of, cutoff or false, again, data_of(user, session) },
    unused and redis.call("HGET", user, session .. ".made"))
end
proven = moment
if redeem ~= "" then
  local ticket = redis.call("HGET", user, string.sub(redeem, 1, 16))
  if not ticket or not is_ticket(ticket, now)
    or string.sub(ticket, 51, 82) ~= string.sub(redeem, 17, 48) then
    return { 7, now, of }
  end
  age, proven = 0, struct.unpack(">i8", ticket, 19) - era
  if proven < 0 or proven >= ERA then
    -- It was left before everybody's sessions ended.
    return { 3, now, of }
  end
  authenticated = math.min(proven, begins)
end
local why = kind == 1 and unwanted(user, has, cutoff, age, proven, now)
if why then
  return { why, now, of }
elseif authenticated + era < not_before then
  return { 3, now, of }
end
local replaced, old = successor(user, replaces, now, not_before)
local new = { class = class, own = own, body = body, not_before = not_before, realm = realm,
  replaced = replaced, chosen = string.sub(redeem, 49) }
local found = records(user, ids)
