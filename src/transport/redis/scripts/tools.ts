import { script } from './script.ts'

/** Scripts of tools beside running hubs: they look through the log page by page, and drop what they choose. */

/**
 * A page of the log, oldest first. ARGV: log, after, until, entries, whether frames are wanted. Answers OK, the
 * milliseconds by which the log's time is ahead of the server's clock, then position, time, bytes and packed entry of
 * each, or its header alone.
 */
export const BROWSE = script(`
if not load() or M.log ~= ARGV[1] then return {'HELLO'} end
local found = call('ZRANGEBYSCORE', ORDER, '('..ARGV[2], ARGV[3], 'LIMIT', 0, tonumber(ARGV[4]))
local answer, size = {'OK', str(M.offset)}, 0
for i, entry in ipairs(found) do
  local pos, at, bytes, frame = info(entry)
  size = size + frame
  if i > 1 and ARGV[5] == '1' and size > 1048576 then break end
  local packed = call('HGET', DATA, str(pos)) or '\\n'
  if ARGV[5] ~= '1' then packed = string.sub(packed, 1, string.find(packed, '\\n', 1, true) - 1) end
  answer[#answer+1] = str(pos); answer[#answer+1] = str(at); answer[#answer+1] = str(bytes); answer[#answer+1] = packed
end
return answer
`)

/**
 * Drops these entries. ARGV: log, whether they are the front of the log, then positions. Answers OK, how many there were
 * and their bytes. A reader that has not come past the front is told; any other entry leaves its place.
 */
export const DROP = script(`
if not load() or M.log ~= ARGV[1] then return {'HELLO'} end
local isFront, count, bytes = ARGV[2] == '1', 0, 0
for i = 3, #ARGV do
  local entry = entryAt(tonumber(ARGV[i]))
  if entry then
    local _, _, size = info(entry)
    count = count + 1; bytes = bytes + size
    local pos, at, id = drop(entry)
    if isFront then dropId(id, pos) else leavePlace(pos, at, id) end
  end
  if isFront then M.horizon = math.max(M.horizon, tonumber(ARGV[i])) end
end
while isFront and M.placeCount > 0 do
  local oldest = call('ZRANGE', PLACES, 0, 0)[1]
  if tonumber(string.match(oldest, '^(%d+)')) > M.horizon then break end
  forgetPlace(oldest)
end
save()
return {'OK', str(count), str(bytes)}
`)
