--[[
  Continues `create.lua`, after the preludes: decides whether the new session is made, and which
  sessions end for it. `create.lua` lists the arguments and the returns.
]]
replaces, redeem, device, offer = replaces or "", redeem or "", device or "", offer or ""
local ids, made, has = split(fields)
local cutoff, again = has.cut and cutoff_of(user, now), redis.call("HGET", user, session)
if again then
  local created, _, _, _, _, _, unused = live(again, now, -math.huge)
  if not created or string.sub(again, 51, 82) ~= digest then
    return { 4, now, of }
  end
  unused = unused > 127 and now - created < MINUTE
  return repeated({ 1, now, of, cutoff or false, again, data_of(user, session) },
    unused and redis.call("HGET", user, session .. ".made"))
end
proven = age == 1 and now - proven or proven
if redeem ~= "" then
  local ticket = redis.call("HGET", user, string.sub(redeem, 1, 16))
  if not ticket or not is_ticket(ticket, now)
    or string.sub(ticket, 51, 82) ~= string.sub(redeem, 17, 48) then
    return { 7, now, of }
  end
  age, proven = 0, struct.unpack(">i8", ticket, 19)
end
if kind == 1 and has.barred and now < tonumber(redis.call("HGET", user, "barred")) then
  return { 8, now, of }
end
-- Any cutoff but the request's own is later, even if the clock stepped back meanwhile.
local rejected = age ~= 2 and cutoff and (cutoff > now or proven <= cutoff) or age == 2 and cutoff ~= proven - 1
if kind == 1 and cutoff and rejected then
  redis.call("HSET", user, "cut", string.format("%.0f", math.min(cutoff, now)))
  return { 3, now, of }
end
-- Only here: a sign-in in the same millisecond as its own cutoff is ahead of now.
proven = math.min(proven, now)

local replaced, old = successor(user, replaces, now, not_before)
local new = { class = class, own = own, body = body, not_before = not_before,
  replaced = replaced, chosen = string.sub(redeem, 49) }
local found = records(user, ids)
local all = sort_out(ids, found, now, new)
local goes, refused, offered = {}, false, {}
if kind == 1 then
  goes, refused, offered = excess(found, all, class, limit, class_limit, refuse)
end
if refused and refuse == 1 then
  drop(user, all.passed)
  leave(user, offer, all.tickets, proven, now)
  return add({ 2, now, of }, ids, found, offered)
end
local data = merge(old and data_of(user, replaced) or "", changes or "")
if #data > most then
  return { 6, now, of }
end
