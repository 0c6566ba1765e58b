#!lua
--[[
  Makes a session and holds its user to the limit. Where the user has something already, or
  the session has data or takes the place of another, the preludes and `admit.lua` follow.

  KEYS[1]   user        hash: session id -> record, session id .. ".data" -> data,
                        "cut" -> ms, "barred" -> ms, "devices" -> see `first_sight`

  ARGV[1]   session     session id
  ARGV[2]   digest      digest of its token, 32 bytes
  ARGV[3]   body        the body of its record
  ARGV[4]   terms       big-endian, one argument because each costs as much as a field here:
                        kind         u8   1 of a user, 2 of a guest (no limit and no cutoff)
                        refuse       u8   1 to refuse the excess, 0 to evict it
                        age          u8   1 if `proven` is an age, 0 if a moment, 2 if the moment
                                          after a cutoff that the same request made
                        class        u8   of its client; 255 does not count
                        limit        u16  how many sessions the user may have
                        class_limit  u16  how many of the class; 0 where it has no limit
                        idle         i64  ms
                        absolute     i64  ms
                        proven       i64  how long ago the user proved who they are, or when, ms
                        most         i64  the most bytes that the data may take
                        kept         i64  how long a notice is kept, ms
                        not_before   i64  sessions created earlier are void, ms
                        latest       i64  the moment after which nobody waits for this, ms
  ARGV[5]   replaces    the session that the client showed, which ends first and leaves its data,
                        or whose successor does; "" for none
  ARGV[6]   changes     see `merge`
  ARGV[7]   given       the time, ms; "" for the server's
  ARGV[8]   redeem      id (16) and digest (32 bytes) of a ticket, and the session that ends for
                        it (16) or nothing; "" for none
  ARGV[9]   device      see `first_sight`; "" for none
  ARGV[10]  offer       id (16) and digest (32 bytes) of the ticket that a refusal leaves; ""
  The last six may be left out where all are empty.

  Returns   header    made, and no more to tell: no cutoff, no data, nobody evicted; the first 50
                      bytes of its record, whose last activity is now, and `of`
            {1, now, of, cut or false, record, data, replaced or "", first sight 1 or 0, id,
             record, …}  made; those that ended for it follow
            {2, now, of, id, record, …}  the limit is reached by these; nothing changed but the
                      ticket that was left
            {3, now, of}  proven at or before the cutoff; nothing changed
            {4, now, of}  the id was live once and has ended; nothing changed
            {5, now, of}  nobody waits for this any more; nothing changed
            {6, now, of}  over the data limit; nothing changed
            {7, now, of}  no such ticket; nothing changed
            {8, now, of}  the user may not sign in for now; nothing changed
  `of` is 8 bytes of `digest`: they show whose reply this is.
]]
local user = KEYS[1]
local session, digest, body, terms, replaces, changes, given, redeem, device, offer =
  unpack(ARGV)
local kind, refuse, age, class, limit, class_limit, idle, absolute, proven, most, kept,
  not_before, latest = struct.unpack(">BBBBI2I2i8i8i8i8i8i8i8", terms)
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
local deadline = now + absolute
local fields = redis.call("HKEYS", user)
if #fields == 0 and plain then
  -- Nothing to hold against it, so none of the functions that follow are made.
  proven = math.min(age == 1 and now - proven or proven, now)
  local header = struct.pack(">BBBI7i8i8i8i8i8", 1, kind, class, 0, now, proven, now, idle,
    deadline)
  redis.call("HSET", user, session, header .. digest .. body)
  redis.call("PEXPIRE", user, math.min(idle + math.ceil(idle / 16), absolute))
  return header .. of
end
