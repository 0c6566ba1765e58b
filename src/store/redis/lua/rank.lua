--[[
  Continues `admit.lua`: finds the sessions that end for the new one, or refuses it.
]]
local offers = kind == 1 and refuse == 1 and class_limit == 0 and { 2, now, of } or nil
local all = sort_out(ids, found, now, new, offers)
local goes, refused = {}, false
if kind == 2 or class_limit == 0 and all.count < limit then
  -- There is room.
elseif offers and all.unused == 0 then
  refused = true
elseif class_limit == 0 and refuse == 0 and all.count == limit and all.least then
  goes[1] = all.least
else
  all = offers and sort_out(ids, found, now, new) or all
  local offered
  goes, refused, offered = excess(ids, found, all, new, limit, class_limit)
  offers = { 2, now, of }
  for _, at in ipairs(refuse == 1 and offered or {}) do
    offers[#offers + 1] = ids[at]
    offers[#offers + 1] = found[at]
  end
end
if refused and refuse == 1 then
  drop(user, all.passed)
  if offer ~= "" then
    leave(user, offer, realm, ids, found, all.tickets, authenticated + era, now)
  end
  return offers
end
local before = old and data_of(user, replaced) or ""
local whole, data = pcall(merge, before, changes or "")
if not whole then
  return { 10, now, of }
end
if #data > most and #data > #before then
  return { 6, now, of }
end
