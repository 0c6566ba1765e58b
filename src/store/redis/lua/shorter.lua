--[[
  A function for the script that shortens lifetimes; follows the prelude.

  A shortened record's body is an array of eight fields. The last is how long the session lives after a
  re-authentication, in ms, an i64 after the byte 211. The number of bytes from the seventh field to
  the end follows as u16. An older form has seven fields and the same u16, or fewer fields and none. A newer
  node writes more fields. Such a body does not change.
]]

-- The part of a record after its deadline, which says that it lives no longer than so many ms.
local function shorter(record, absolute)
  local at = string.byte(record, 2) % 64 >= 32 and 206 or 83
  local head, last = string.sub(record, at + 1), "\192"
  local fields = string.byte(record, at) - 144
  if fields > 8 then
    return string.sub(record, 51)
  end
  if fields > 6 then
    local len = struct.unpack(">I2", head, #head - 1)
    head, last = string.sub(head, 1, #head - len), string.sub(head, #head - len + 1, #head - 2)
  end
  if fields > 7 then
    absolute = math.min(absolute, (struct.unpack(">i8", last, #last - 7)))
    last = string.sub(last, 1, #last - 9)
  end
  last = last .. "\211" .. struct.pack(">i8", absolute)
  return string.sub(record, 51, at - 1) .. "\152" .. head .. string.rep("\192", 6 - fields) .. last
    .. struct.pack(">I2", #last + 2)
end
