#!lua
--[[
  Makes a session and holds its user to the limit.

  KEYS[1]   user        hash: session id -> record, session id .. ".data" -> data,
                        "cut" -> ms

  ARGV[1]   session     session id
  ARGV[2]   digest      digest of its token, 32 bytes
  ARGV[3]   by          the session id as 12 bytes, for notices
  ARGV[4]   kind        1 of a user, 2 of a guest (no limit and no cut)
  ARGV[5]   body        the body of its record
  ARGV[6]   idle        ms
  ARGV[7]   absolute    ms
  ARGV[8]   at          "age" or "moment"
  ARGV[9]   proven      how long ago the user proved who they are, or when, ms
  ARGV[10]  limit       how many sessions the user may have
  ARGV[11]  refuse      "1" to refuse the excess, "0" to evict it
  ARGV[12]  replaces    session id that ends first and leaves its data; "" for none
  ARGV[13]  changes     see `merge`
  ARGV[14]  most        the most bytes that the data may take
  ARGV[15]  kept        how long a notice is kept, ms
  ARGV[16]  not_before  sessions created earlier are void, ms
  ARGV[17]  latest      the moment after which nobody waits for this, ms; "" if unknown
  ARGV[18]  given       the time, ms; "" for the server's

  Returns   {1, now, cut or false, record, data, id, record, …}  made; the evicted follow
            {2, now, id, record, …}  the limit is reached by these; nothing changed
            {3, now}  proven at or before the cut; nothing changed
            {4, now}  the id was live once and has ended; nothing changed
            {5, now}  nobody waits for this any more; nothing changed
            {6, now}  over the data limit; nothing changed
]]
local user = KEYS[1]
local session, digest, by, kind, body, idle, absolute, at, proven, limit, refuse, replaces,
  changes, most, kept, not_before, latest, given = unpack(ARGV)

local now = clock(given)
if latest ~= "" and now > tonumber(latest) then
  return { 5, now }
end
local cut = cut_of(user, now)
local known = redis.call("HGET", user, session)
if known then
  if string.sub(known, 51, 82) == digest and live(known, now, -math.huge) then
    return { 1, now, cut or false, known, data_of(user, session) }
  end
  return { 4, now }
end
proven = tonumber(at == "age" and now - proven or proven)
if kind == "1" and cut and (cut > now or proven <= cut) then
  redis.call("HSET", user, "cut", string.format("%.0f", math.min(cut, now)))
  return { 3, now }
end
-- Not before: a sign-in that follows its own cut within the millisecond is ahead of now.
proven = math.min(proven, now)

local sessions, notices, passed, old = sort_out(user, now, tonumber(not_before), replaces)
local excess = kind == "1" and #sessions + 1 - limit or 0
if excess > 0 and refuse == "1" then
  return add({ 2, now }, sessions)
end
local data = merge(old and data_of(user, replaces) or "", changes)
if #data > tonumber(most) then
  return { 6, now }
end

local deadline = now + tonumber(absolute)
local record = struct.pack(">BBi8i8i8i8i8i8", VERSION, kind, 0, now, proven, now, idle, deadline)
  .. digest .. body
-- The new session first: an emptied hash would lose its TTL.
redis.call("HSET", user, session, record)
if #data > 0 then
  redis.call("HSET", user, session .. ".data", string.rep("\0", 8) .. data)
end
if old then
  notices[#notices + 1] = finish(user, old, REPLACED, now, kept, by)
end
table.sort(sessions, less_active)
local evicted = {}
for position = 1, excess do
  evicted[position] = sessions[position]
  notices[#notices + 1] = finish(user, evicted[position], EVICTED, now, kept, by)
end
drop(user, oldest(notices, limit, passed))
keep(user, math.max(ttl(now, idle, deadline), #notices > 0 and kept or 0))
return add({ 1, now, cut or false, record, data }, evicted)
