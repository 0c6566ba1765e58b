#!lua
--[[
  Makes a session and holds its user to the limit.

  KEYS[1]   user        hash: session id -> record, session id .. ".data" -> data,
                        "cut" -> ms

  ARGV[1]   session     session id
  ARGV[2]   digest      digest of its token, 32 bytes
  ARGV[3]   by          the session id as 12 bytes, for notices
  ARGV[4]   body        the body of its record
  ARGV[5]   terms       big-endian, one argument because each costs as much as a field here:
                        kind        u8   1 of a user, 2 of a guest (no limit and no cut)
                        refuse      u8   1 to refuse the excess, 0 to evict it
                        age         u8   1 if `proven` is an age, 0 if a moment
                        limit       u16  how many sessions the user may have
                        idle        i64  ms
                        absolute    i64  ms
                        proven      i64  how long ago the user proved who they are, or when, ms
                        most        i64  the most bytes that the data may take
                        kept        i64  how long a notice is kept, ms
                        not_before  i64  sessions created earlier are void, ms
                        latest      i64  the moment after which nobody waits for this, ms
  ARGV[6]   replaces    session id that ends first and leaves its data; "" for none
  ARGV[7]   changes     see `merge`
  ARGV[8]   given       the time, ms; "" for the server's
  The last three may be left out where all are empty.

  Returns   header    made, and there was nothing else; the first 50 bytes of its record,
                      whose last activity is now
            {1, now, cut or false, record, data, id, record, …}  made; the evicted follow
            {2, now, id, record, …}  the limit is reached by these; nothing changed
            {3, now}  proven at or before the cut; nothing changed
            {4, now}  the id was live once and has ended; nothing changed
            {5, now}  nobody waits for this any more; nothing changed
            {6, now}  over the data limit; nothing changed
]]
local user = KEYS[1]
local session, digest, by, body, terms, replaces, changes, given = unpack(ARGV)
local kind, refuse, age, limit, idle, absolute, proven, most, kept, not_before, latest =
  struct.unpack(">BBBI2i8i8i8i8i8i8i8", terms)

local now = tonumber(given or "")
local time = not now and redis.call("TIME")
now = now or time[1] * 1000 + math.floor(time[2] / 1000)
if now > latest then
  return { 5, now }
end
proven = age == 1 and now - proven or proven
-- Not ahead of now, as a sign-in is that follows its own cut within the millisecond.
local since, deadline = math.min(proven, now), now + absolute
local fields = redis.call("HKEYS", user)
if #fields == 0 and not changes then
  -- There is nothing to hold against it, so none of the functions that follow are made.
  local header = struct.pack(">BBi8i8i8i8i8i8", 1, kind, 0, now, since, now, idle, deadline)
  redis.call("HSET", user, session, header .. digest .. body)
  redis.call("PEXPIRE", user, math.min(idle + math.ceil(idle / 16), absolute))
  return header
end
-- The preludes stand here.
local ids, found, has_cut = records(user, fields)
local cut, known = has_cut and cut_of(user, now), found[session]
if known then
  local same = string.sub(known, 51, 82) == digest and live(known, now, -math.huge)
  return same and { 1, now, cut or false, known, data_of(user, session) } or { 4, now }
end
if kind == 1 and cut and (cut > now or proven <= cut) then
  redis.call("HSET", user, "cut", string.format("%.0f", math.min(cut, now)))
  return { 3, now }
end

local sessions, notices, passed, old = sort_out(ids, found, now, not_before, replaces)
local excess = kind == 1 and #sessions + 1 - limit or 0
if excess > 0 and refuse == 1 then
  return add({ 2, now }, sessions)
end
local data = merge(old and data_of(user, replaces) or "", changes or "")
if #data > most then
  return { 6, now }
end

local record = struct.pack(">BBi8i8i8i8i8i8", VERSION, #data > 0 and kind + WITH_DATA or kind, 0,
  now, since, now, idle, deadline) .. digest .. body
-- The new session first: an emptied hash would lose its TTL.
put(user, session, record, data)
if old then
  notices[#notices + 1] = finish(user, old, REPLACED, now, kept, by)
end
local evicted = evict(user, sessions, excess, notices, now, kept, by)
drop(user, oldest(notices, limit, passed))
keep(user, math.max(ttl(now, idle, deadline), #notices > 0 and kept or 0))
return add({ 1, now, cut or false, record, data }, evicted)
