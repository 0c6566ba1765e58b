#!lua
--[[
  Makes a session and enforces the user's limit. This part handles the first session of a user
  alone. In any other case it goes on into the preludes and `admit.lua`.

  KEYS[1]   user        hash: session id -> record, session id .. ".data" -> data,
                        session id .. ".made" -> see `outcome`, "cut" -> ms, "barred" -> ms,
                        "devices" -> see `note_device`

  ARGV[1]   session     session id
  ARGV[2]   digest      digest of its token, 32 bytes
  ARGV[3]   body        the body of its record
  ARGV[4]   terms       big-endian fields in one argument, because each argument costs time:
                        kind         u8   1 for a user, 2 for a guest session (no limit, no cutoff)
                        refuse       u8   1 to refuse the excess, 0 to evict it
                        age          u8   1 if `proven` is an age, 0 if a moment, 2 if the moment
                                          after a cutoff that the same request set
                        class        u8   of the client; 255 does not count for the limit
                        limit        u16  how many sessions the user may have
                        class_limit  u16  how many of the class; 0 if it has no limit
                        idle         i64  ms
                        absolute     i64  ms
                        proven       i64  when the user authenticated, or how long ago, ms
                        most         i64  the most bytes that the data may grow to
                        kept         i64  how long a notice is kept, ms
                        not_before   i64  sessions created or authenticated earlier are not live, ms
                        after        i64  the request arrived after this moment, whatever the clock says, ms
                        latest       i64  the moment after which no client waits for this, ms
                        own          u16  how much of `body`, after its first byte, names the
                                          user, the address and the user agent
                        realm        u24  the mark of its realm, zeros for none
                        arrived      i64  how long ago the request arrived, ms: a moment in `proven`
                                          that is later counts as that age. If `age` is 2: when the
                                          user authenticated, ms
  ARGV[5]   replaces    the session whose token the request sent; it ends first, or the session
                        that replaced it, and the new one gets its data; "" for none
  ARGV[6]   changes     see `merge`
  ARGV[7]   given       the time, ms; "" for the server's
  ARGV[8]   redeem      id (16 bytes) and digest (32) of a ticket, then the session to end for
                        it (16) or nothing; "" for none
  ARGV[9]   device      see `note_device`; "" for none
  ARGV[10]  offer       id (16 bytes) and digest (32) of the ticket to keep after a refusal, and
                        its terms; "" for none
  The last six may be left out if all are empty.

  Returns   header    made, without cutoff, data, evicted sessions or a new device: the first 50
                      bytes of the record, whose last activity is now, and `of`
            {1, now, of, cutoff or false, record, data, replaced or "", new device 1 or 0, id,
             record, …}  made; the sessions that ended for it follow. If it is sent again within a
                         minute and before a request with the token, at most 64 of them.
            {2, now, of, id, record, …}  these sessions reach the limit; the ticket was kept, and
                                         nothing else changed
            {3, now, of}  authenticated at or before the cutoff, or before `not_before`; nothing changed
            {4, now, of}  a session with this id has ended; nothing changed
            {5, now, of}  no client waits for this any more; nothing changed
            {6, now, of}  the data would outgrow its limit; nothing changed
            {7, now, of}  no such ticket; nothing changed
            {8, now, of}  the user is disabled; nothing changed
            {10, now, of}  the data to carry over is damaged; nothing changed
            {9, now, of}  the user authenticated a day ago or earlier; nothing changed
  `of` is 8 bytes of `digest`: they show which request this reply belongs to.
]]
local user = KEYS[1]
local session, digest, body, terms, replaces, changes, given, redeem, device, offer =
  unpack(ARGV)
local kind, refuse, age, class, limit, class_limit, idle, absolute, proven, most, kept,
  not_before, after, latest, own, realm, arrived =
  struct.unpack(">BBBBI2I2i8i8i8i8i8i8i8i8I2I3i8", terms)
local of = string.sub(digest, 9, 16)
local plain = (replaces or "") .. (changes or "") .. (redeem or "") .. (device or "") == ""

local now = tonumber(given or "")
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
if now > latest then
  return { 5, now, of }
end
if age == 0 and proven > now - arrived then
  age, proven = 1, arrived
end
local deadline, moment = now + absolute, age == 1 and now - proven or proven
-- The session is of the era of everybody's end, see `ERA`. Without the era these are times.
local era = math.max(0, math.floor(math.max(not_before, after) / 2 ^ 46)) * 2 ^ 46
after = after - era
-- A clock that is behind must not make a session that begins before everybody's end.
local begins = math.max(now, after)
local authenticated = math.min(age == 0 and moment or math.max(moment, after), begins)
authenticated = age == 2 and math.min(authenticated, arrived) or authenticated
local fields = redis.call("HKEYS", user)
if #fields == 0 and plain and authenticated + era >= not_before
  and (kind == 2 or now - moment < 86400000) then
  -- The common case ends here, before the functions that follow are defined.
  local header = struct.pack(">BBBI3I4i8i8i8i8i8", 1, kind + 128, class, realm, 0, begins + era,
    authenticated + era, now, idle, deadline)
  redis.call("HSET", user, session, header .. digest .. body)
  idle = kind == 2 and math.min(idle, 900000) or idle
  redis.call("PEXPIRE", user, math.min(idle + math.ceil(idle / 16), absolute))
  return header .. of
end
