import { script } from './script.ts'

/**
 * Sorting what is stored into rules that were changed, page by page, oldest first. Any node does that; a claim of three
 * seconds keeps others from the same work.
 */

/**
 * The next page to sort. ARGV: now, log, gen, node, entries. Answers OK, then position, header and frame bytes of each;
 * DONE when all is sorted; CLAIMED when another node is at it; HELLO.
 */
export const OUTLINES = script(`
if not load() or M.log ~= ARGV[2] or M.gen ~= tonumber(ARGV[3]) then return {'HELLO'} end
if M.sortedTo >= M.sortTo then return {'DONE'} end
local now = clock(ARGV[1])
local by, till = string.match(call('HGET', FORKS, 'sort') or '', '^(%S+) (%d+)$')
if by and by ~= ARGV[4] and tonumber(till) > now then return {'CLAIMED'} end
call('HSET', FORKS, 'sort', ARGV[4]..' '..str(now + 3000))
local found = call('ZRANGEBYSCORE', ORDER, '('..str(M.sortedTo), str(M.sortTo), 'LIMIT', 0, tonumber(ARGV[5]))
if #found == 0 then
  M.sortedTo = M.sortTo
  call('HDEL', FORKS, 'sort')
  save()
  return {'DONE'}
end
save()
local answer = {'OK'}
for _, entry in ipairs(found) do
  local pos, _, _, frame = info(entry)
  local packed = call('HGET', DATA, str(pos)) or '\\n'
  answer[#answer+1] = str(pos)
  answer[#answer+1] = string.sub(packed, 1, string.find(packed, '\\n', 1, true) - 1)
  answer[#answer+1] = str(frame)
end
return answer
`)

/** Sorts a page. ARGV: log, gen, the last position, entries, then position, rule, group and bytes of each. OK; HELLO. */
export const SORT = script(`
if not load() or M.log ~= ARGV[1] or M.gen ~= tonumber(ARGV[2]) then return {'HELLO'} end
for i = 0, tonumber(ARGV[4]) - 1 do
  local o = 5 + i * 4
  local entry = entryAt(tonumber(ARGV[o]))
  if entry then
    local pos, at, before, frame, _, _, id = info(entry)
    local rule, group, bytes = tonumber(ARGV[o+1]), ARGV[o+2], tonumber(ARGV[o+3])
    call('ZREM', ORDER, entry)
    call('ZADD', ORDER, str(pos), member(pos, at, bytes, frame, rule, group, id))
    M.bytes = M.bytes - before + bytes
    if rule >= 0 then enter(pos, bytes, rule, group); cutGroup(rule, group, math.huge) end
  end
end
M.sortedTo = math.max(M.sortedTo, tonumber(ARGV[3]))
if M.sortedTo >= M.sortTo then call('HDEL', FORKS, 'sort') end
save()
return {'OK'}
`)

/**
 * Cuts everything to the limits, in steps, group after group. ARGV: now, log, rule, group. Answers OK with the rule and
 * the group to go on with, or DONE; HELLO.
 */
export const CUT = script(`
if not load() or M.log ~= ARGV[2] then return {'HELLO'} end
local rule, group = tonumber(ARGV[3]), ARGV[4]
local seen = 0
expire(clock(ARGV[1]))
while rule < #M.R and drops < STEP and seen < STEP do
  seen = seen + 1
  if not M.R[rule + 1].perTopic then
    cutGroup(rule, '', STEP)
    if drops < STEP then rule = rule + 1; group = '' end
  else
    local from = group == '' and '['..rank(rule)..'\\0' or '('..rank(rule)..'\\0'..group..'\\1'
    local first = call('ZRANGEBYLEX', GROUPS, from, '('..rank(rule)..'\\1', 'LIMIT', 0, 1)[1]
    if not first then rule = rule + 1; group = ''
    else
      local next = string.match(first, '^%d+%z(.*)%z%d+$')
      cutGroup(rule, next, STEP)
      if drops < STEP then group = next end
    end
  end
end
cutPlaces(STEP)
cut(STEP)
save()
if rule >= #M.R and drops < STEP then return {'DONE'} end
return {'OK', str(rule), group}
`)
