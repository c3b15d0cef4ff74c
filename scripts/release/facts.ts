import manifest from '../../package.json' with { type: 'json' }

/** What every part of a release is told: nothing in it may depend on the time or on the machine. */
export interface Facts {
  readonly version: string
  /** The commit in full, or `unknown` in a checkout without git. */
  readonly commit: string
  /** When that was, in seconds since 1970: the date of every file. */
  readonly epoch: number
}

/** The root of the checkout, with a slash at its end. */
export const root = new URL('../../', import.meta.url).pathname

/** The facts of this checkout. Throws when neither git nor `SOURCE_DATE_EPOCH` tells a date. */
export async function factsOfCheckout(): Promise<Facts> {
  const commit = await git('rev-parse', 'HEAD')
  const date = process.env['SOURCE_DATE_EPOCH'] ?? (await git('log', '-1', '--format=%ct'))
  if (!/^\d+$/.test(date)) throw new Error('there is no git history: set SOURCE_DATE_EPOCH')
  return { version: manifest.version, commit: commit === '' ? 'unknown' : commit, epoch: Number(date) }
}

/** The name of a target of `scripts/build.sh` taken apart. */
export interface Target {
  /** As in `dist/cinnabar-NAME`. */
  readonly name: string
  readonly os: 'linux' | 'darwin' | 'windows'
  readonly arch: 'x64' | 'arm64'
  readonly isMusl: boolean
  /** The file that `scripts/build.sh` leaves. */
  readonly executable: string
}

/** Everything that is released. */
export const targets: readonly Target[] = [
  target('linux', 'x64'),
  target('linux', 'arm64'),
  target('linux', 'x64', true),
  target('linux', 'arm64', true),
  target('darwin', 'x64'),
  target('darwin', 'arm64'),
  target('windows', 'x64'),
]

function target(os: Target['os'], arch: Target['arch'], isMusl = false): Target {
  const name = `${os}-${arch}${isMusl ? '-musl' : ''}`
  return {
    name,
    os,
    arch,
    isMusl,
    executable: `${root}dist/cinnabar-${name}${os === 'windows' ? '.exe' : ''}`,
  }
}

/** Runs a program and answers with its standard output. Rejects with what it says when it fails. */
export async function run(
  command: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Uint8Array> {
  const child = Bun.spawn([...command], {
    cwd: options.cwd ?? root,
    env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) !== 0) throw new Error(`${command.join(' ')}: ${err}`)
  return out
}

/** The text that git answers with, or nothing. */
async function git(...words: readonly string[]): Promise<string> {
  const out = await run(['git', ...words]).catch(() => new Uint8Array())
  return new TextDecoder().decode(out).trim()
}
