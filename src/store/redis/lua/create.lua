#!lua
--[[
  Makes a session and holds its user to the limit. Where the user has something already, or
  the session has data, the preludes and `admit.lua` follow.

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

  Returns   header    made, and no more to tell: no cut, no data, nobody evicted; the first 50
                      bytes of its record, whose last activity is now
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
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
if now > latest then
  return { 5, now }
end
local deadline = now + absolute
local fields = redis.call("HKEYS", user)
if #fields == 0 and (changes or "") == "" then
  -- Nothing to hold against it, so none of the functions that follow are made.
  proven = math.min(age == 1 and now - proven or proven, now)
  local header = struct.pack(">BBi8i8i8i8i8i8", 1, kind, 0, now, proven, now, idle, deadline)
  redis.call("HSET", user, session, header .. digest .. body)
  redis.call("PEXPIRE", user, math.min(idle + math.ceil(idle / 16), absolute))
  return header
end
