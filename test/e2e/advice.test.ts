import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { advise } from '../../src/config/advice.ts'
import { planOf } from '../../src/config/memory.ts'
import { binaryPath } from '../support/binary.ts'
import { bareEnv } from '../support/run-command.ts'
import { settingsOf } from '../support/settings.ts'

/** The figures that `check` and the console tell, held against hubs that are measured side by side. */

// Limits of what this load does not use, so that the sum is about what it does.
const common = ['--limits-bodies', '1MiB', '--limits-pattern-weight-total', '10000']
const configurations: Readonly<Record<string, readonly string[]>> = {
  file: [...common, '--history-max-count', '2000'],
  inside: [...common, '--transport', 'memory', '--history-max-bytes', '32MiB'],
  live: [...common, '--transport', 'local'],
}
const load = { subscribers: 10, stalled: 0, rate: 1000, size: 1024 }

test('measured memory lies between half and the whole of what is told as the most', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cinnabar-test-'))
  const own = Object.entries(configurations).flatMap(([name, flags]) => [
    '--configuration',
    `${name}: ${flags.join(' ')}`,
  ])
  const child = Bun.spawn(
    [
      ...[binaryPath(), 'bench', 'memory', '--only', Object.keys(configurations).join(','), ...own],
      ...['--updates', '40000', '--rate', '0', '--size', '1024', '--subscribers', '10', '--json'],
    ],
    { env: { ...bareEnv, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  rmSync(folder, { recursive: true, force: true })
  expect([await child.exited, err]).toEqual([0, ''])
  const measured: readonly { name: string; resident_peak_bytes: number; problem: string | null }[] =
    JSON.parse(out).configurations
  expect(measured.map(({ name, problem }) => [name, problem])).toEqual(
    Object.keys(configurations).map((name) => [name, null]),
  )
  for (const { name, resident_peak_bytes: peak } of measured) {
    const { most } = advise(planOf(settingsOf(configurations[name] ?? []), load))
    const share = peak / most
    expect([name, share >= 0.5 && share <= 1 ? 'within' : `${peak} of ${most}`]).toEqual([name, 'within'])
  }
}, 120_000)
