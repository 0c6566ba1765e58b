--[[
  What the scripts need that know previous tokens; put after the prelude. A previous token is its
  digest, 32 bytes, until when it is no reuse i64, and u8: 1 if it opens nothing even before that.
]]
local NONE, UNUSED = string.rep("\0", 41), "\127" .. string.rep("\255", 7)

-- What only Rust reads of a live record.
local function body_of(record)
  return string.sub(record, string.byte(record, 2) % 64 >= 32 and 206 or 83)
end

-- The previous tokens of a live record, the newer first.
local function previous_of(record)
  if string.byte(record, 2) % 64 < 32 then
    return NONE, NONE
  end
  return string.sub(record, 124, 164), string.sub(record, 165, 205)
end

-- Until when a previous token is no reuse, and whether it is void.
local function good_until(each)
  return struct.unpack(">i8B", each, 33)
end

-- How long a previous token goes on once its successor was seen.
local function grace_of(record)
  return (struct.unpack(">i8", record, 91))
end

-- Which of two previous tokens this digest is of; none where that opens nothing.
local function still_open(digest, newer, older, now)
  for _, each in ipairs({ newer, older }) do
    local good, rejected = good_until(each)
    if string.sub(each, 1, 32) == digest and now < good and rejected == 0 then
      return each
    end
  end
end

-- The same token, void, and no reuse until then at the latest.
local function rejected(each, good)
  if each == NONE then
    return NONE
  end
  local before = struct.unpack(">i8", each, 33)
  return string.sub(each, 1, 32) .. struct.pack(">i8B", math.min(good, before), 1)
end
