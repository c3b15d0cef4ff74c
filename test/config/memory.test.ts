import { describe, expect, test } from 'bun:test'
import { settingsInEffect } from '../../src/config/effective.ts'
import { type Configuration, describeProblem, load, type Refusal } from '../../src/config/load.ts'

const MiB = 2 ** 20
const key = '0123456789abcdef0123456789abcdef'
const issuer = ['--issuers', JSON.stringify([{ id: 'a', publisher: { key, algorithm: 'HS256' } }])]

/** Loads with flags, in a container that has so many MiB or in none. */
function loaded(containerMiB: number | null, ...argv: readonly string[]): Configuration | Refusal {
  return load({
    argv: [...issuer, ...argv],
    env: {},
    readFile: () => '',
    devKeys: { publisher: key, subscriber: key },
    isTerminal: false,
    containerBytes: containerMiB === null ? null : containerMiB * MiB,
  })
}

/** The budget and the bytes of the past in MiB, with all that is said; or the problems. */
function fitted(containerMiB: number | null, ...argv: readonly string[]) {
  const result = loaded(containerMiB, ...argv)
  if (!result.ok) return result.problems.map(describeProblem)
  const { settings, notes, warnings } = result
  const said = [...notes, ...warnings].map(describeProblem).filter((line) => !line.includes('may need'))
  const keptBytes = settings.history.maxBytes
  return [Math.floor(settings.limits.memory / MiB), keptBytes === null ? null : keptBytes / MiB, ...said]
}

const follows = (text: string) => `limits.memory: memory budget follows the container: ${text}`

describe('the memory budget', () => {
  test.each([
    [[null], [0, 256]],
    [[1024], [819, 256, follows('819MiB of its 1GiB')]],
    [[128], [102, 256, follows('102MiB of its 128MiB')]],
    [
      [1024, '--transport=local'],
      [819, 256, follows('819MiB of its 1GiB')],
    ],
    [
      [1024, '--limits-memory=512MiB'],
      [512, 256],
    ],
    [
      [1024, '--limits-memory=1GiB'],
      [1024, 256],
    ],
    [
      [1024, '--limits-memory=0'],
      [0, 256],
    ],
    [
      [128, '--limits-memory=512MiB'],
      [
        512,
        256,
        '--limits-memory: 512MiB is more than the 128MiB of the container, which ends the hub above them',
      ],
    ],
  ] as const)('M17 in a container of %p MiB: %p', ([container, ...argv], expected) => {
    expect(fitted(container, ...argv)).toEqual([...expected])
  })

  test('M17 says where it comes from', () => {
    const result = loaded(1024)
    const lines = result.ok ? settingsInEffect(result.settings, result.origins) : []
    expect(lines).toContain('limits.memory = "858993459"  # container (819MiB of its 1GiB)')
  })

  test('M17 a budget below what a busy hub needs is warned about, whoever set it', () => {
    const result = loaded(128)
    expect(result.ok ? result.warnings.map(describeProblem) : []).toEqual([
      'limits.memory: the hub may need 125 MiB, and sheds load above the limit',
    ])
  })
})

describe('a past in memory', () => {
  const memory = '--transport=memory'
  const isIn = (room: string, of: string) =>
    `history.max_bytes: is ${room} here, since 256MiB in memory does not fit beside the hub into ${of}`

  test.each([
    [
      [null, memory],
      [0, 256],
    ],
    [
      [null, memory, '--limits-memory=100MiB'],
      [100, 4, isIn('4MiB', 'limits.memory, 100MiB')],
    ],
    [
      [null, memory, '--limits-memory=256MiB'],
      [256, 118, isIn('118MiB', 'limits.memory, 256MiB')],
    ],
    [
      [null, memory, '--limits-memory=1GiB'],
      [1024, 256],
    ],
    [
      [128, memory],
      [102, 6, follows('102MiB of its 128MiB'), isIn('6MiB', 'the 128MiB of the container')],
    ],
    [
      [128, memory, '--limits-memory=100MiB'],
      [100, 4, isIn('4MiB', 'limits.memory, 100MiB')],
    ],
    [
      [128, memory, '--limits-memory=0'],
      [0, 6, isIn('6MiB', 'the 128MiB of the container')],
    ],
    [
      [64, memory],
      [94, 1, follows('94MiB at least, though it has 64MiB'), isIn('1MiB', 'the 64MiB of the container')],
    ],
    [
      [1024, memory],
      [819, 256, follows('819MiB of its 1GiB')],
    ],
    [
      [128, memory, '--history-max-bytes=6MiB'],
      [102, 6, follows('102MiB of its 128MiB')],
    ],
    [
      [128, memory, '--history-max-count=0'],
      [102, 256, follows('102MiB of its 128MiB')],
    ],
    [
      [128, '--transport=local'],
      [102, 256, follows('102MiB of its 128MiB')],
    ],
  ] as const)('M17 that nobody has sized is made to fit: %p', ([container, ...argv], expected) => {
    expect(fitted(container, ...argv)).toEqual([...expected])
  })

  const refused = (size: string, into: string, way: string) =>
    `--history-max-bytes: ${size} in memory does not fit beside the hub into ${into}: give ${way}`

  test.each([
    [
      [128, '--history-max-bytes=64MiB'],
      refused('64MiB', 'the 128MiB of the container', '6MiB at most, or raise its limit to 228MiB'),
    ],
    [
      [null, '--history-max-bytes=64MiB', '--limits-memory=100MiB'],
      refused('64MiB', 'limits.memory, 100MiB', '4MiB at most, or raise limits.memory to 182MiB'),
    ],
    [
      [1024, '--history-max-bytes=1GiB'],
      refused('1GiB', 'the 1GiB of the container', '491MiB at most, or raise its limit to 2134MiB'),
    ],
    [
      [128, '--history-max-bytes=unlimited'],
      refused('an unlimited past', 'the 128MiB of the container', '6MiB at most'),
    ],
  ] as const)(
    'M17 that the operator has sized is refused with the figures: %p',
    ([container, ...argv], problem) => {
      expect(fitted(container, memory, ...argv)).toEqual([problem])
    },
  )

  test.each([64, 256, 1000])('M17 %d MiB fit into what the refusal asks for', (size) => {
    const given = [memory, `--history-max-bytes=${size}MiB`]
    const [container] = /(\d+)MiB$/.exec(String(fitted(96, ...given)[0])) ?? []
    expect(fitted(Number.parseInt(container ?? '', 10), ...given)).toHaveLength(3)
    const own = /(\d+MiB)$/.exec(String(fitted(null, ...given, '--limits-memory=96MiB')[0]))?.[1]
    expect(fitted(null, ...given, `--limits-memory=${own}`)).toHaveLength(2)
  })

  test('M17 what is wrong otherwise is told alone, or beside it', () => {
    expect(fitted(128, memory, '--history-max-bytes=64MiB', '--history-max-age=x')).toHaveLength(1)
    expect(fitted(128, memory, '--history-max-bytes=64MiB', '--hub-heartbeat=x')).toHaveLength(2)
  })
})
