import { expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startHub } from '../support/binary.ts'

const canTell = process.platform === 'linux' && Bun.which('ss') !== null

/** The longest queue of each listening socket of this process: `ss` calls it Send-Q there. */
function queuesOf(pid: number): readonly number[] {
  const lines =
    Bun.spawnSync(['ss', '-tlnpH']).stdout.toString() + Bun.spawnSync(['ss', '-xlnpH']).stdout.toString()
  const own = lines.split('\n').filter((line) => line.includes(`pid=${pid},`))
  return own.map((line) => Number(/LISTEN\s+\d+\s+(\d+)/.exec(line)?.[1]))
}

test.skipIf(!canTell)(
  'M19 a crowd that comes back at once fits into the queue of each listener',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cinnabar-queue-'))
    await using hub = await startHub({
      flags: ['--hub-anonymous', '--listen', `unix:${join(folder, 'hub.sock')}`, '--listen', '127.0.0.1:0'],
    })
    const most = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'))
    const queues = queuesOf(hub.pid)
    expect(queues.length).toBeGreaterThan(2)
    expect(queues.every((length) => length === Math.min(most, 65_535))).toBe(true)
    rmSync(folder, { recursive: true })
  },
)
