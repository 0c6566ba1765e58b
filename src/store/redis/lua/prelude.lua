--[[
  Functions and formats for all scripts; every script is loaded with it.

  Live record     version u8, kind u8, class u8, mark of its realm 3 bytes, revision u32, created i64, authenticated i64,
                  last activity i64, idle i64, deadline i64, digest 32 bytes. A session that had
                  another token then has the previous tokens, see `rotate.lua`. Last comes a body
                  that only Rust reads.
  Kind            1 for a session of a user, 2 for a guest session. Added are 16 if it has data,
                  32 if it had another token, 64 until a request sends the current token, 128
                  until a request sends the first one. 128 goes with neither 32 nor 64.
  Class           255 does not count for the limit.
  End notice      version u8, kind u8 = 3, kept until i64, digest 32 bytes, reason u8,
                  ended at i64. Then nothing, or the id of the session that caused the end
                  (16 characters, zeros for none). Then the digest of the previous token if 32 is
                  added to the kind. Then 8 bytes that name the call that ended it if 64 is
                  added. Last comes the body of the session that caused the end.
  Ticket          like a live record, of kind 4; it works until its deadline. Its body, which only
                  Rust reads, is what the refused sign-in asked for.
  Data            an operation id of 8 bytes, then entries: key length u16, key, value
                  length u32, value.

  All numbers are big-endian, all times in milliseconds. Scripts do not touch records of another
  version, because another node wrote them.
]]
local VERSION, NOTICE, TICKET, MINUTE = 1, 3, 4, 60000

-- The moments `created` and `authenticated` of a record, `authenticated` of a ticket and
-- `not_before` have an era: era * ERA + time. A store whose clock was set back after everybody's
-- sessions had ended begins another one, so that what began before is earlier in any case.
local ERA = 2 ^ 46

-- The time in ms: the caller's if it gave one, as tests do, else the server's.
local function clock(given)
  if given and given ~= "" then
    return tonumber(given)
  end
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- How long a session of this kind lives without activity: an unused guest session for 15 minutes.
local function lasting(kind, idle)
  return kind > 127 and kind % 16 == 2 and math.min(idle, 15 * MINUTE) or idle
end

-- Returns created and authenticated without their era, activity, idle, deadline, revision, kind, class, and the mark of
-- its realm as a number; nothing if it is not live. One that was created or
-- authenticated before `not_before` is not.
local function live(record, now, not_before)
  if not record or #record < 82 then
    return nil
  end
  local version, kind, class, place, revision, created, authenticated, activity, idle, deadline =
    struct.unpack(">BBBI3I4i8i8i8i8i8", record)
  if version ~= VERSION or kind % 16 > 2 or now >= deadline
    or now >= activity + lasting(kind, idle) or created < not_before or authenticated < not_before then
    return nil
  end
  return created % ERA, authenticated % ERA, activity, idle, deadline, revision, kind, class, place
end

-- Until when a notice is kept; nothing if it is no notice or its time is over.
local function noticed(record, now)
  if not record or #record < 51 then
    return nil
  end
  local version, kind, kept = struct.unpack(">BBi8", record)
  if version == VERSION and kind % 32 == NOTICE and now < kept then
    return kept
  end
end

-- Keeps the key for at least this long. GT alone gives no TTL to a key that has none.
local function keep(key, ttl)
  local millis = string.format("%.0f", ttl)
  if redis.call("PEXPIRE", key, millis, "GT") == 0 then
    redis.call("PEXPIRE", key, millis, "NX")
  end
end

-- The TTL is a sixteenth of the idle time longer than needed, so that not every request has to
-- renew it.
local function ttl(now, idle, deadline)
  local lasts, left = idle + (idle + -idle % 16) / 16, deadline - now
  return lasts < left and lasts or left
end
