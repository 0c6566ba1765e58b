--[[
  Continues `create.lua`, after the preludes: decides whether the new session is made, and which
  sessions end for it. `create.lua` lists the arguments and the returns.
]]
replaces, redeem, device, offer = replaces or "", redeem or "", device or "", offer or ""
local ids, found, others = records(user, fields)
local by_id = {}
for at, id in ipairs(ids) do
  by_id[id] = found[at]
end
local cutoff = others.cut and cutoff_of(user, now)
local again = by_id[session]
if again then
  local same = string.sub(again, 51, 82) == digest and live(again, now, -math.huge)
  return same and { 1, now, of, cutoff or false, again, data_of(user, session), "", 0 } or { 4, now, of }
end
proven = moment
if redeem ~= "" then
  local ticket = by_id[string.sub(redeem, 1, 16)]
  if not ticket or not is_ticket(ticket, now)
    or string.sub(ticket, 51, 82) ~= string.sub(redeem, 17, 48) then
    return { 7, now, of }
  end
  age, proven = 0, struct.unpack(">i8", ticket, 19)
end
local why = kind == 1 and unwanted(user, others, cutoff, age, proven, now)
if why then
  return { why, now, of }
end
-- Only here: a sign-in in the same millisecond as its own cutoff is ahead of now.
proven = math.min(proven, now)

local replaced, chosen = successor(by_id, replaces, now, not_before), string.sub(redeem, 49)
if by_id[chosen] and not is_within(by_id[chosen], realm) then
  chosen = nil
end
local all = sort_out(ids, found, now, not_before, replaced, chosen)
local goes, offered = {}, {}
if kind == 1 then
  goes, offered = excess(all.sessions, realm, class, limit, class_limit)
end
if #goes > 0 and refuse == 1 then
  drop(user, all.passed)
  if offer ~= "" then
    leave(user, offer, realm, all.tickets, proven, now)
  end
  return add({ 2, now, of }, offered)
end
local old = replaced and all[replaced]
local data = merge(old and data_of(user, replaced) or "", changes or "")
if #data > most then
  return { 6, now, of }
end
