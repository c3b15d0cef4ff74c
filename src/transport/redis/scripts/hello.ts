import { script } from './script.ts'

/**
 * A node says where it is, and hears how the log goes on. Nothing else is accepted from a node that did not say hello to
 * this run of the server.
 *
 * A run that is not the one that wrote last makes a fork: the head of the other run is noted and positions go on far
 * behind it, so that no position is used twice. A node that has seen more of a run than its fork says proves that
 * accepted entries are gone: this is told once, to all, by a place in the tail.
 *
 * ARGV: now, run, node, the log and the run that the node has followed, the position and the id of the furthest entry that it has delivered, read or found,
 * a random name for this session and for a new log, whether it applies its limits, the three limits, the rules, their selection, and the window of
 * the tail in milliseconds and bytes.
 *
 * Answers OK, log, head, its id, whether the node has lost its place, the generation of the rules, the rules, the number
 * of the node's newest batch, whether there is something to sort, whether this made a fork, and the limits and rules
 * before; VERSION for a log of a newer version.
 */
export const HELLO = script(`
local run, node, knownLog, knownRun, floor, floorId, newLog = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local isLost, isFork = false, false
local isKnown = load()
if isKnown and M.v > 1 then return {'VERSION', str(M.v)} end
local before = isKnown and {M.maxCount and str(M.maxCount) or '', M.maxAge and str(M.maxAge) or '', M.maxBytes and str(M.maxBytes) or '', M.rules} or {}
if not isKnown then
  call('UNLINK', ORDER, DATA, IDS, DUPS, PLACES, RULED, GROUPS, SUMS, TAIL, TAILS, WRITERS, FORKS)
  local head = floor > 0 and floor + GAP or 0
  call('HSET', META, 'v', '1', 'log', newLog, 'run', run, 'head', str(head), 'horizon', str(head), 'tailLast', str(head), 'shape', ARGV[14])
  load()
end
if knownLog ~= '' and knownLog ~= M.log then isLost = true end
if M.run ~= run then
  M.forks = M.forks + 1
  call('HSET', FORKS, M.run, str(M.head)..' 0 '..str(M.forks))
  M.head = M.head + GAP
  M.run = run
  isFork = true
  if call('HLEN', FORKS) > 120 then
    local all = call('HGETALL', FORKS)
    for i = 1, #all, 2 do
      local nth = string.match(all[i+1], '^%d+ %d (%d+)$')
      if nth and tonumber(nth) <= M.forks - 100 then call('HDEL', FORKS, all[i]) end
    end
  end
end
local now = clock(ARGV[1])
if floor > M.head then M.head = floor + GAP; isLost = true end
if knownLog == M.log and knownRun ~= '' then
  local stored = entryAt(floor)
  local isOther = false
  if stored and floorId ~= '' then local _, _, _, _, _, _, id = info(stored); isOther = id ~= floorId end
  if knownRun ~= run or isOther then
    local ended, told, nth = string.match(call('HGET', FORKS, knownRun) or '', '^(%d+) (%d) (%d+)$')
    if told == '1' then isLost = true
    elseif isOther or not ended or floor > tonumber(ended) then
      isLost = true
      M.losses = M.losses + 1
      call('HSET', FORKS, knownRun, (ended or '0')..' 1 '..(nth or str(M.forks)))
      M.loss = M.head
      M.head = M.head + 1; M.headId = ''
      intoTail(0, now, 'lost', '1')
    end
  end
end
local isApplied = ARGV[9] == '1' or not isKnown
if isApplied then
  -- The log was left: its time goes on as the clock shows it, unless that was set back by more than this.
  if #call('ZRANGEBYSCORE', NODES, str(now + 1), '+inf', 'LIMIT', 0, 1) == 0 and M.offset < 2000 then
    M.offset = 0; M.latest = M.headAt
    now = clock(ARGV[1])
  end
  if M.shape ~= ARGV[14] then
    M.gen = M.gen + 1
    M.sortTo = M.head; M.sortedTo = 0
    sums = {}
    call('UNLINK', RULED, GROUPS, SUMS)
  end
  M.rules = ARGV[13]; M.shape = ARGV[14]
  M.windowMs = tonumber(ARGV[15]); M.windowBytes = tonumber(ARGV[16])
  call('HSET', META, 'maxCount', ARGV[10], 'maxAge', ARGV[11], 'maxBytes', ARGV[12], 'rules', M.rules, 'shape', M.shape)
end
call('HSET', META, 'run', M.run)
if not isKnown then
  -- The log before had a time of its own.
  for _, other in ipairs(call('ZRANGEBYSCORE', NODES, str(now + 10000), '+inf')) do call('ZADD', NODES, str(now + 10000), other) end
end
save()
call('HSET', WRITERS, 'session '..node, newLog)
local number = string.match(call('HGET', WRITERS, node) or '0', '^(%d+)')
return {'OK', M.log, str(M.head), M.headId, isLost and '1' or '0', str(M.gen), M.rules, number,
  M.sortedTo < M.sortTo and '1' or '0', isFork and '1' or '0', before}
`)

/** Where the log ends now. ARGV: log, run. Answers OK, head and its id; HELLO. */
export const LOCATE = script(`
if not load() or M.log ~= ARGV[1] or M.run ~= ARGV[2] then return {'HELLO'} end
return {'OK', str(M.head), M.headId}
`)
