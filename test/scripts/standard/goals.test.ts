import { expect, test } from 'bun:test'
import { goalsOf, goalTable, isMet } from '../../../scripts/bench/standard/goals.ts'
import { type Results, replaceSection } from '../../../scripts/bench/standard/page.ts'

const alone = {
  replayed: 10_000,
  history: 1_000_000,
  firstMs: 4,
  lastMs: 34,
  coldLastMs: 118,
  startMs: 25,
  idleMegabytes: 67,
}
const results: Results = {
  date: '2026-11-22',
  rounds: 3,
  scenarios: {
    'fanout-1000': { 'C epoll': [2, 4, 2], cinnabar: [2.4, 5, 9] },
    'burst-1000': { 'C epoll': [10, 10, 10], cinnabar: [99, 98, 500] },
  },
  alone,
}
const verdicts = new Map(goalsOf(results).map((goal) => [goal.title, isMet(goal)]))

test('a goal is met at its limit, missed beyond it, and undecided where nothing was measured', () => {
  expect(verdicts.get('start to first answer')).toBe(true)
  expect(verdicts.get('resident memory when idle')).toBe(false)
  expect(verdicts.get('the same right after a restart: last event')).toBe(false)
  expect(verdicts.get('an idle subscriber, of 10,000')).toBeNull()
})

test('ratios are taken within a round, and the median of them counts', () => {
  expect(verdicts.get('one event at a time to 1,000: CPU per delivery')).toBe(true)
  expect(verdicts.get('50 publishers, 1,000 subscribers: deliveries')).toBe(false)
  expect(goalTable(results)).toContain('| at most 1.3 times the C loop | 1.25 times the C loop | yes |')
})

test('a section of the page is replaced and the text around it stays', () => {
  const page = 'before\n<!-- goals -->\nold\n<!-- end -->\nafter\n<!-- end -->\n'
  expect(replaceSection(page, 'goals', 'new')).toBe(
    'before\n<!-- goals -->\nnew\n<!-- end -->\nafter\n<!-- end -->\n',
  )
  expect(() => replaceSection(page, 'other', '')).toThrow('no section other')
})
