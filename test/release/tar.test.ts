import { expect, test } from 'bun:test'
import { run } from '../../scripts/release/facts.ts'
import { file, folder, tar } from '../../scripts/release/tar.ts'

const EPOCH = 1_700_000_000

async function listed(archive: Uint8Array): Promise<string> {
  const child = Bun.spawn(['tar', '-tv', '--utc', '--full-time', '-f', '-'], {
    stdin: new Blob([new Uint8Array(archive)]),
    stdout: 'pipe',
  })
  return (await new Response(child.stdout).text()).replaceAll(/ +/g, ' ')
}

test('entries have their modes and owners, one date, and the folders that they are in', async () => {
  const archive = tar(
    [
      file('b/run', 'x', 0o755),
      folder('a', 0o1777, 65532),
      { path: 'b/link', mode: 0o777, content: { link: 'run' } },
    ],
    EPOCH,
  )
  expect(await listed(archive)).toBe(
    [
      'drwxrwxrwt 65532/65532 0 2023-11-14 22:13:20 a/',
      'drwxr-xr-x 0/0 0 2023-11-14 22:13:20 b/',
      'lrwxrwxrwx 0/0 0 2023-11-14 22:13:20 b/link -> run',
      '-rwxr-xr-x 0/0 1 2023-11-14 22:13:20 b/run',
      '',
    ].join('\n'),
  )
})

test('the order in which entries are given makes no difference', () => {
  const entries = [file('a', '1'), file('b/c', '2'), folder('b', 0o700)]
  expect(tar(entries.toReversed(), EPOCH)).toEqual(tar(entries, EPOCH))
})

test('contents come back as they were, whatever their length', async () => {
  for (const length of [0, 1, 511, 512, 513]) {
    const bytes = new Uint8Array(length).fill(7)
    const child = Bun.spawn(['tar', '-xOf', '-', 'x'], {
      stdin: new Blob([tar([file('x', bytes)], EPOCH)]),
      stdout: 'pipe',
    })
    expect(await new Response(child.stdout).bytes()).toEqual(bytes)
  }
})

test('a path that does not fit is refused', () => {
  expect(() => tar([file('x'.repeat(101), '')], EPOCH)).toThrow('does not fit')
})

test('a program that fails is told with what it says', async () => {
  expect(run(['sh', '-c', 'echo wrong >&2; exit 3'])).rejects.toThrow('wrong')
})
