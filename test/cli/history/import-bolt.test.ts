import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { runHistory } from '../../../src/cli/history/command.ts'
import { copyBolt } from '../../support/bolt.ts'
import { commandIo } from '../../support/command-io.ts'
import { temporaryFolder } from '../../transport/sqlite/log.ts'

let folder: string
let history: string
let remove: () => void
beforeEach(() => {
  const made = temporaryFolder()
  folder = made.path
  remove = made.remove
  history = join(folder, 'history.db')
})
afterEach(() => remove())

async function imported(...words: readonly string[]) {
  const { io, out, err } = commandIo()
  const code = await runHistory(['import', '--sqlite-path', history, ...words], io)
  return { code, out: out(), err: err() }
}

function bolt(name: string): string {
  return copyBolt(name, join(folder, 'mercure.db'))
}

describe('cinnabar history import --from bolt', () => {
  test('says how many were imported, how many left out, and why', async () => {
    expect(await imported('--from', 'bolt', bolt('v0.24.2'))).toEqual({
      code: 0,
      out: `imported 226 entries
left out 6 updates
not taken over, with the number of updates:
       1  retry times over 2147483647 ms
       4  updates without a topic that is allowed
       2  ids that are reserved or hold forbidden characters
       1  types that are not allowed
`,
      err: '',
    })
  })

  test('says no more than the number when everything came over', async () => {
    expect(await imported('--from=bolt', bolt('v1.0-one'))).toEqual({
      code: 0,
      out: 'imported 1 entry\n',
      err: '',
    })
  })

  test('takes the name of the bucket, and names those that there are', async () => {
    const file = bolt('v1.0-bucket')
    expect(await imported('--from', 'bolt', file)).toMatchObject({
      code: 1,
      err: expect.stringContaining('has no bucket "updates": give --bucket, it has "history"'),
    })
    expect(existsSync(history)).toBe(false)
    expect(await imported('--from', 'bolt', '--bucket', 'history', file)).toMatchObject({
      code: 0,
      out: 'imported 6 entries\n',
    })
  })

  test('ends with 1 for a file that it cannot import', async () => {
    expect(await imported('--from', 'bolt', bolt('truncated'))).toMatchObject({
      code: 1,
      err: expect.stringContaining('its end is missing; nothing was stored'),
    })
  })

  const misused: readonly (readonly [words: readonly string[], reason: string])[] = [
    [['--from', 'blot', 'f'], '--from "blot" is not a format; did you mean bolt?'],
    [['--from', 'a\x1b[2J', 'f'], '--from that is not a format'],
    [['--from', 'bolt', '-'], '--from bolt reads a file'],
    [['--from', 'bolt', '--bucket=', 'f'], '--bucket needs a name'],
    [['--bucket', 'history', 'f'], '--bucket is for --from bolt'],
    [['--form', 'bolt', 'f'], 'did you mean --from?'],
  ]
  test.each(misused)('%j ends with 2', async (words, reason) => {
    expect(await imported(...words)).toMatchObject({ code: 2, err: expect.stringContaining(reason) })
    expect(existsSync(history)).toBe(false)
  })
})
