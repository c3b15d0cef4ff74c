import { expect, test } from 'bun:test'
import { load } from '../../src/config/load.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { compileRule, retention } from '../../src/serve/rules.ts'
import { ruleOf } from '../../src/transport/retention.ts'

function read(rules: unknown, more: readonly string[] = []) {
  const argv = ['--hub-anonymous', `--history-rules=${JSON.stringify(rules)}`, ...more]
  const configuration = load({
    argv,
    env: {},
    readFile: () => '',
    isTerminal: false,
    devKeys: { publisher: '', subscriber: '' },
  })
  if (!configuration.ok) throw new Error(JSON.stringify(configuration.problems))
  return retention(configuration.settings)
}

test('a rule has the limits that it names and no others', () => {
  const { rules = [], ...whole } = read([{ match: 'a', max_count: 1, per_topic: true }])
  expect(whole).toEqual({ maxCount: 100_000, maxAgeMs: 86_400_000, maxBytes: 256 << 20 })
  expect(rules).toEqual([
    expect.objectContaining({ name: 'exact a', perTopic: true, maxCount: 1, maxAgeMs: null, maxBytes: null }),
  ])
})

test('rules select as matchers do: exactly, by URL pattern, and everything by the wildcard', () => {
  const { rules = [] } = read([
    { match: 'a', max_count: 1 },
    { match: 'https://example.com/books/:id', match_type: 'urlpattern', max_age: '1h' },
    { match: '*', max_bytes: '1MiB' },
  ])
  expect(ruleOf(['a'], rules)).toBe(0)
  expect(ruleOf(['https://example.com/books/1'], rules)).toBe(1)
  expect(ruleOf(['https://example.com/books/1/2'], rules)).toBe(2)
})

test('H4 subscription events have a share of the limits to themselves, and updates have the rest', () => {
  const on = ['--hub-subscriptions', '--history-max-count=1000', '--history-max-bytes=10MiB']
  const { rules = [], ...whole } = read([{ match: '*', max_count: 1 }], on)
  expect(whole).toEqual({ maxCount: 900, maxAgeMs: 86_400_000, maxBytes: 9 << 20 })
  expect(rules[0]).toMatchObject({ isApart: true, maxCount: 100, maxBytes: 1 << 20, maxAgeMs: null })
  expect(ruleOf(['/.well-known/mercure/subscriptions/exact/a/urn%3Ax'], rules)).toBe(0)
  expect(ruleOf(['https://example.com/subscriptions/a'], rules)).toBe(1)
  expect(read([], [...on, '--history-own-events=0%'])).toMatchObject({
    maxCount: 1000,
    rules: [{ maxCount: 0, maxBytes: 0 }],
  })
  const endless = ['--hub-subscriptions', '--history-max-count=unlimited', '--history-max-bytes=unlimited']
  expect(read([], endless)).toMatchObject({ maxCount: null, maxBytes: null, rules: [{ maxCount: null }] })
  expect(read([], ['--hub-subscriptions', '--history-max-count=0'])).toMatchObject({ maxCount: 0, rules: [] })
})

test('a pattern that does not compile is refused with the name of the setting', () => {
  const rule = { match: 'https://example.com/(', match_type: 'urlpattern', max_count: 1 }
  expect(() => read([{ match: 'a', max_count: 1 }, rule])).toThrow('history.rules[1].match cannot be used')
})

test('a rule that another node has brought selects by its name what it selected there', () => {
  const { rules = [] } = read(
    [
      { match: 'a at http://b.example/hub', max_count: 1 },
      { match: 'https://example.com/books/:id', match_type: 'urlpattern', max_age: '1h' },
      { match: '/books/:id', match_type: 'urlpattern', max_count: 3, per_topic: true },
      { match: '*', max_bytes: '1MiB' },
    ],
    ['--hub-subscriptions', '--hub-public-urls=https://hub.example'],
  )
  // Another node, with a URL of its own.
  const elsewhere = hubLocation('https://elsewhere.example/.well-known/mercure')
  const compiled = rules.map(({ test: _, ...limits }) => compileRule(limits, elsewhere))
  const topics = [
    '/.well-known/mercure/subscriptions/exact/a/b',
    'a at http://b.example/hub',
    'https://example.com/books/1',
    'https://hub.example/books/1',
    'https://elsewhere.example/books/1',
  ]
  expect(topics.map((topic) => ruleOf([topic], rules))).toEqual([0, 1, 2, 3, 4])
  expect(topics.map((topic) => ruleOf([topic], compiled))).toEqual([0, 1, 2, 3, 4])
  expect(compiled.map(({ test: _, ...limits }) => limits)).toEqual(
    rules.map(({ test: _, ...limits }) => limits),
  )
})
