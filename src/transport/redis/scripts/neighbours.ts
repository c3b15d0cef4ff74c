import { script } from './script.ts'

/** The nodes with a lease, alive or not. ARGV: now. Answers OK, the time, and name, end of the lease and report of each. */
export const REPORTS = script(`
if not load() then return {'HELLO'} end
local answer = {'OK', str(clock(ARGV[1]))}
local nodes = call('ZRANGE', NODES, 0, 999, 'WITHSCORES')
for at = 1, #nodes, 2 do
  answer[#answer + 1] = nodes[at]
  answer[#answer + 1] = nodes[at + 1]
  answer[#answer + 1] = call('HGET', WRITERS, 'report '..nodes[at]) or ''
end
return answer
`)
