--[[
  What scripts need; put before each when it is loaded.

  A live record   version u8, kind u8, class u8, revision u56, created i64, authenticated i64,
                  last activity i64, idle i64, deadline i64, digest 32 bytes; where the session
                  had another token, what is kept of that, see `rotate.lua`; then a body that
                  only Rust reads. Kind 1 is a user's session, 2 a guest's; 16 more once it has
                  data, 32 more once it had another token, 64 more while the present one has not
                  been shown. Class 255 does not count against the limit.
  An end notice   version u8, kind u8 = 3, kept until i64, digest 32 bytes, reason u8,
                  ended at i64; then nothing, or 16 characters of the session that ended it
                  (zeros for none), the digest of the token before where kind is 35, and the
                  body of the session that ended it.
  A ticket        as a live record without a body, kind 4; live until its deadline.
  Data            an operation id of 8 bytes, then entries: key length u16, key, value
                  length u32, value.

  All big-endian; moments and durations in milliseconds. What is of another version is some
  other node's, and left alone.
]]
local VERSION, NOTICE, TICKET = 1, 3, 4

-- The time: the caller's clock if it gave one (tests do), else the server's, in whole ms.
local function clock(given)
  if given and given ~= "" then
    return tonumber(given)
  end
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- created, authenticated, activity, idle, deadline, revision; nothing unless it is live.
local function live(record, now, not_before)
  if not record then
    return nil
  end
  local version, kind, _, revision, created, authenticated, activity, idle, deadline =
    struct.unpack(">BBBI7i8i8i8i8i8", #record < 82 and string.rep("\0", 82) or record)
  if version ~= VERSION or kind % 16 > 2 or now >= deadline or now >= activity + idle
    or created < not_before then
    return nil
  end
  return created, authenticated, activity, idle, deadline, revision
end

-- Up to when a notice is kept; nothing unless it is one and still kept.
local function noticed(record, now)
  if not record or #record < 51 then
    return nil
  end
  local version, kind, kept = struct.unpack(">BBi8", record)
  if version == VERSION and kind % 32 == NOTICE and now < kept then
    return kept
  end
end

-- Keeps the key for so long at least. GT alone never gives a TTL to a key that has none.
local function keep(key, ttl)
  local millis = string.format("%.0f", ttl)
  if redis.call("PEXPIRE", key, millis, "NX") == 0 then
    redis.call("PEXPIRE", key, millis, "GT")
  end
end

-- A session's TTL has a sixteenth of its idle time to spare, so that it need not be renewed on
-- every request.
local function ttl(now, idle, deadline)
  return math.min(now + idle + math.ceil(idle / 16), deadline) - now
end
