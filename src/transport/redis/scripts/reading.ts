import { script } from './script.ts'

/** Where an id stands. ARGV: now, log, id. Answers OK and the position or nothing; AGAIN; HELLO. */
export const FIND = script(`
if not load() or M.log ~= ARGV[2] then return {'HELLO'} end
local more = expire(clock(ARGV[1]))
saveReading(ARGV[1])
if more then return {'AGAIN'} end
local pos = call('HGET', IDS, ARGV[3])
if not pos or tonumber(pos) <= M.loss then pos = '' end
return {'OK', pos}
`)

/**
 * A page of the past, cut by the bytes of frames before any frame is read. ARGV: now, log, after, until, entries, bytes.
 * Answers OK, where to read on, and position and packed entry of each; LOST; AGAIN; HELLO.
 */
export const READ = script(`
if not load() or M.log ~= ARGV[2] then return {'HELLO'} end
local more = expire(clock(ARGV[1]))
saveReading(ARGV[1])
if more then return {'AGAIN'} end
local after, upto, limit, bytesMax = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if after ~= 0 and (after < M.horizon or after < M.loss) then return {'LOST'} end
local found = call('ZRANGEBYSCORE', ORDER, '('..str(after), str(upto), 'LIMIT', 0, limit + 1)
local wanted, bytes, isFull = {}, 0, false
for i, entry in ipairs(found) do
  local pos, _, _, frame = info(entry)
  bytes = bytes + frame
  if i > 1 and (i > limit or bytes > bytesMax) then isFull = true; break end
  wanted[i] = str(pos)
end
local answer = {'OK', isFull and wanted[#wanted] or str(math.max(after, upto))}
if #wanted > 0 then
  local got = call('HMGET', DATA, unpack(wanted))
  for i, pos in ipairs(wanted) do answer[#answer+1] = pos; answer[#answer+1] = got[i] end
end
return answer
`)

/**
 * The newest entries before a position, newest first. ARGV: now, log, before, entries, bytes. Answers OK, and position, time
 * and packed entry of each; AGAIN; HELLO.
 */
export const LOOK_BACK = script(`
if not load() or M.log ~= ARGV[2] then return {'HELLO'} end
local more = expire(clock(ARGV[1]))
saveReading(ARGV[1])
if more then return {'AGAIN'} end
local found = call('ZREVRANGEBYSCORE', ORDER, '('..ARGV[3], '-inf', 'LIMIT', 0, tonumber(ARGV[4]))
local answer, bytes = {'OK'}, 0
for i, entry in ipairs(found) do
  local pos, at, _, frame = info(entry)
  bytes = bytes + frame
  if i > 1 and bytes > tonumber(ARGV[5]) then break end
  answer[#answer+1] = str(pos); answer[#answer+1] = str(at); answer[#answer+1] = call('HGET', DATA, str(pos))
end
return answer
`)

/**
 * The figures of the log. ARGV: now, log. Answers OK, count, bytes, when the oldest was accepted or nothing, dropped,
 * places, the log's time, the head and its id, the number of losses, nodes alive, and count and bytes of each rule; AGAIN;
 * HELLO.
 */
export const FIGURES = script(`
if not load() or M.log ~= ARGV[2] then return {'HELLO'} end
local now = clock(ARGV[1])
local more = expire(now)
saveReading(ARGV[1])
if more then return {'AGAIN'} end
local oldest, at = call('ZRANGE', ORDER, 0, 0)[1], ''
if oldest then local _, t = info(oldest); at = str(t) end
local alive = #call('ZRANGEBYSCORE', NODES, str(now + 1), '+inf')
local answer = {'OK', str(M.count), str(M.bytes + M.placeBytes), at, str(M.dropped), str(M.placeCount), str(now),
  str(M.head), M.headId, str(M.losses), str(alive)}
for i in ipairs(M.R) do
  local s = sumOf(rank(i - 1))
  answer[#answer+1] = str(s[1]); answer[#answer+1] = str(s[2])
end
return answer
`)
