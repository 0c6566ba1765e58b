--[[
  Functions for scripts that change the app's data; follows the prelude.
]]
-- The entries of data with changes applied. A change is kind u8 (1 sets an entry, 0 removes a
-- key), then the entry or the key.
local function merge(data, changes)
  local keys, values, places, at = {}, {}, {}, 1
  while at <= #data do
    local key, value
    key, value, at = struct.unpack(">I2c0I4c0", data, at)
    keys[#keys + 1], values[key], places[key] = key, value, #keys + 1
  end
  at = 1
  while at <= #changes do
    local kind, key, value
    kind, key, at = struct.unpack(">BI2c0", changes, at)
    if kind == 1 then
      value, at = struct.unpack(">I4c0", changes, at)
      if values[key] == nil then
        keys[#keys + 1], places[key] = key, #keys + 1
      end
    elseif values[key] ~= nil then
      -- The place stays empty: moving the rest each time blocked the server for most of a second.
      keys[places[key]] = false
    end
    values[key] = value
  end
  local merged = {}
  for _, key in ipairs(keys) do
    if key then
      merged[#merged + 1] = struct.pack(">I2c0I4c0", #key, key, #values[key], values[key])
    end
  end
  return table.concat(merged)
end
