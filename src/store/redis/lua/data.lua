--[[
  What the scripts need that change the app's data; put after the prelude.
]]
-- What is added to the kind of a session that has data, so that it is looked for only then.
local WITH_DATA = 16

-- Keeps a session that begins, and its data.
local function put(key, id, record, data)
  redis.call("HSET", key, id, record)
  if #data > 0 then
    redis.call("HSET", key, id .. ".data", string.rep("\0", 8) .. data)
  end
end

-- Entries of data with changes merged in. A change is kind u8 (1 sets an entry, 0 removes a
-- key), then the entry or the key.
local function merge(data, changes)
  local keys, values, at = {}, {}, 1
  while at <= #data do
    local key, value
    key, value, at = struct.unpack(">I2c0I4c0", data, at)
    keys[#keys + 1], values[key] = key, value
  end
  at = 1
  while at <= #changes do
    local kind, key, value
    kind, key, at = struct.unpack(">BI2c0", changes, at)
    if kind == 1 then
      value, at = struct.unpack(">I4c0", changes, at)
      if values[key] == nil then
        keys[#keys + 1] = key
      end
    end
    if kind == 0 and values[key] ~= nil then
      for position, name in ipairs(keys) do
        if name == key then
          table.remove(keys, position)
          break
        end
      end
    end
    values[key] = value
  end
  local merged = {}
  for position, key in ipairs(keys) do
    merged[position] = struct.pack(">I2c0I4c0", #key, key, #values[key], values[key])
  end
  return table.concat(merged)
end
