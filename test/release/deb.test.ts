import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Contents, contentsOf, text } from '../../scripts/release/contents.ts'
import { debianVersion, writeDeb } from '../../scripts/release/deb.ts'
import { type Facts, root } from '../../scripts/release/facts.ts'
import { binaryPath } from '../support/binary.ts'

/** The package for Debian, tried on the files of this machine: everything that it changes is thrown away. */

const facts: Facts = { version: '1.2.3', commit: 'c0ffee', epoch: 1_700_000_000 }
const architecture = 'amd64'

test('a version before a release sorts before it', () => {
  expect(['1.0.0', '1.0.0-rc.1'].map(debianVersion)).toEqual(['1.0.0', '1.0.0~rc.1'])
})

// The reasons to skip: this is no Debian, or another user than root, who may not mount, runs the tests.
const canInstall = Bun.which('dpkg-deb') !== null && Bun.which('unshare') !== null && process.getuid?.() === 0

describe.skipIf(!canInstall || process.arch !== 'x64')('the package', () => {
  let folder: string
  let contents: Contents

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cinnabar-deb-'))
    contents = await contentsOf(binaryPath(), facts)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  async function built(name: string, of: Facts, with_: Contents): Promise<string> {
    const place = join(folder, name)
    await mkdir(place)
    const options = { architecture, executable: binaryPath(), folder: place, level: 1 } as const
    return join(place, await writeDeb({ ...options, contents: with_, facts: of }))
  }

  test('is the same each time, installs, upgrades over an older one, and goes without a trace', async () => {
    const [first, second] = [await built('first', facts, contents), await built('second', facts, contents)]
    expect(first).toEndWith('/cinnabar_1.2.3_amd64.deb')
    expect(await digest(second)).toBe(await digest(first))
    const configuration = 'packaging/cinnabar.toml'
    const earlier = `${text(contents, configuration)}# of an older version\n`
    const files = new Map([...contents.files, [configuration, earlier]])
    const older = await built('older', { ...facts, version: '1.2.2' }, { ...contents, files })
    const overlay = join(folder, 'overlay')
    await mkdir(overlay)
    const scripts = `${root}scripts/release`
    const trial = ['sh', `${scripts}/overlay.sh`, overlay, 'sh', `${scripts}/try-deb.sh`, older, first]
    const child = Bun.spawn(['unshare', '--mount', ...trial], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    expect({ code: await child.exited, err }).toMatchObject({ code: 0 })
    expect(out).toEndWith('the package installs, upgrades and goes as it should\n')
  }, 120_000)
})

async function digest(path: string): Promise<string> {
  return new Bun.CryptoHasher('sha256').update(await Bun.file(path).bytes()).digest('hex')
}
