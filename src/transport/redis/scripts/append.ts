import { script } from './script.ts'

/**
 * Stores a batch: all of it once, whatever happens to the answer. Items are updates, joins and leaves; a join or a leave
 * takes place, with its events, only when it changes something.
 *
 * ARGV: now, log, run, gen, node, number, isAgain, session, items, then for each item kind (`u`, `j` or `l`), node, subscriber,
 * document and number of updates, and for each update id, rule, group, bytes, frame bytes and the packed entry.
 * `isAgain`: an earlier run of the server may have had it, so nobody goes on from its ids. `session`: what the node said at
 * its last hello, so that nothing arrives from a connection before it.
 *
 * Answers OK, the first position and a flag for each item: whether it took place; AGAIN when there is more to drop
 * first; HELLO when the log, its server, its rules or the session are others now; STALE for a batch that was given up.
 */
export const APPEND = script(
  `
if not load() or M.log ~= ARGV[2] or M.run ~= ARGV[3] or M.gen ~= tonumber(ARGV[4]) then return {'HELLO'} end
local node, number = ARGV[5], tonumber(ARGV[6])
if call('HGET', WRITERS, 'session '..node) ~= ARGV[8] then return {'HELLO'} end
local before, first, flags = string.match(call('HGET', WRITERS, node) or '', '^(%d+) (%d+) (%d*)$')
if before and tonumber(before) == number then
  -- Written again, so that who waits for replicas on this connection waits for it.
  call('HSET', WRITERS, node, before..' '..first..' '..flags)
  return {'OK', first, flags}
end
if before and tonumber(before) > number then return {'STALE'} end
local now = clock(ARGV[1])
expire(now)
cut(STEP)
if drops >= STEP then save(); return {'AGAIN'} end
local start = M.head
local packed, size = {}, 0
local keepsNothing = M.maxCount == 0 and #M.R == 0
local function add(o)
  local id, rule, group, bytes, frame, text =
    ARGV[o], tonumber(ARGV[o+1]), ARGV[o+2], tonumber(ARGV[o+3]), tonumber(ARGV[o+4]), ARGV[o+5]
  M.head = M.head + 1; M.headId = id; M.headAt = now
  packed[#packed+1] = #text..':'; packed[#packed+1] = text
  size = size + #text
  if keepsNothing then M.horizon = M.head; M.dropped = M.dropped + 1; return end
  call('ZADD', ORDER, str(M.head), member(M.head, now, bytes, frame, rule, group, id))
  call('HSET', DATA, str(M.head), text)
  if ARGV[7] ~= '1' then addId(id, M.head) end
  M.count = M.count + 1; M.bytes = M.bytes + bytes
  if rule >= 0 then enter(M.head, bytes, rule, group); cutGroup(rule, group, math.huge) end
  cut(math.huge)
end
local o, took = 10, {}
for i = 1, tonumber(ARGV[9]) do
  local kind, owner, subscriber, document, updates = ARGV[o], ARGV[o+1], ARGV[o+2], ARGV[o+3], tonumber(ARGV[o+4])
  o = o + 5
  local does = true
  if kind == 'j' then
    does = call('HSETNX', SUBS..owner, subscriber, document) == 1
    -- Rows without a lease would stay for ever when the node dies before its next tick. The half says that the lease is
    -- only for that: the node had lost its own, and others may have told ends.
    call('ZADD', NODES, 'NX', str(now + 10000)..'.5', owner)
  elseif kind == 'l' then
    -- Another node tells the ends of this one only as long as it is dead.
    local lease = owner ~= node and tonumber(call('ZSCORE', NODES, owner) or '0') or 0
    does = lease <= now and call('HDEL', SUBS..owner, subscriber) == 1
  end
  took[i] = does and '1' or '0'
  for _ = 1, updates do
    if does then add(o) end
    o = o + 6
  end
end
local answer = table.concat(took)
if M.head > start then
  intoTail(size, now, 'b', node..' '..str(number)..' '..answer..' '..str(M.tailLast), 'u', table.concat(packed))
end
trimTail(now)
call('HSET', WRITERS, node, str(number)..' '..str(start + 1)..' '..answer)
save()
return {'OK', str(start + 1), answer}
`,
  true,
)
