import { describe, expect, test } from 'bun:test'
import { builtinModules } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { filesOf, type Import, importsOf } from '../scripts/imports.ts'

/**
 * The import table of ARCHITECTURE.md, as a test: TypeScript has no package privacy, so the folder says what a
 * file may do.
 */
interface Room {
  /** Rooms of src, or single files, that it may import; `types:` before one allows types only. */
  readonly own: readonly string[]
  /** What it may use from outside. */
  readonly outside: readonly string[]
}

const rooms: Readonly<Record<string, Room>> = {
  'protocol/': { own: ['protocol/'], outside: ['valibot'] },
  'hub/': { own: ['protocol/', 'hub/'], outside: [] },
  'stream/': { own: ['stream/', 'types:hub/', 'hub/loop.ts', 'protocol/'], outside: ['@elysiajs/stream'] },
  'transport/': {
    own: ['transport/', 'hub/', 'protocol/'],
    outside: ['@redis/client', 'bun:ffi', 'bun:sqlite', 'node:fs', 'node:path'],
  },
  'history/': {
    own: ['history/', 'transport/', 'protocol/'],
    outside: ['bun:sqlite', 'node:fs', 'node:path', 'valibot'],
  },
  'auth/': { own: ['protocol/', 'auth/'], outside: ['jose', 'valibot', 'node:crypto'] },
  'http/': {
    own: ['http/', 'stream/', 'types:hub/', 'hub/loop.ts', 'protocol/', 'types:auth/'],
    outside: ['elysia', 'node:net'],
  },
  'legacy/': { own: ['legacy/', 'types:http/', 'auth/', 'protocol/'], outside: [] },
  'telemetry/': {
    own: ['telemetry/', 'types:hub/', 'types:protocol/'],
    outside: [
      '@opentelemetry/api',
      '@opentelemetry/core',
      '@opentelemetry/exporter-trace-otlp-http',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace',
    ],
  },
  // Scripts of the browser: of the hub they share the figures of memory, and the shapes of what it answers.
  'admin/page/': {
    own: ['admin/page/', 'types:admin/console/answers.ts', 'config/advice.ts'],
    outside: ['preact', 'preact/hooks', '@preact/signals'],
  },
  'admin/': {
    own: ['admin/', 'types:config/', 'types:hub/', 'types:stream/', 'protocol/', 'telemetry/'],
    outside: ['elysia', 'prom-client', 'valibot'],
  },
  'config/': { own: ['config/', 'protocol/matcher.ts'], outside: ['valibot'] },
  'command/': { own: ['command/', 'config/', 'types:auth/'], outside: [] },
  'bench/': {
    own: ['bench/', 'command/', 'config/', 'auth/'],
    outside: ['node:fs', 'node:path'],
  },
  'cli/': {
    own: [
      'cli/',
      'bench/',
      'history/',
      'command/',
      'config/',
      'auth/',
      'protocol/',
      // What would keep a hub from starting is known there, and checked without one.
      'serve/problems.ts',
      // The log on a server, for the commands that look after it.
      'serve/store/redis-server.ts',
      'serve/store/redis-log.ts',
      'transport/redis/tool.ts',
      'transport/redis/examine.ts',
      'types:transport/',
    ],
    outside: ['../package.json', 'node:fs', 'node:path'],
  },
  'serve/': {
    own: [
      'serve/',
      'admin/',
      'auth/',
      'config/',
      'http/',
      'hub/',
      'protocol/',
      'stream/',
      'telemetry/',
      'transport/',
    ],
    outside: ['bun:ffi', 'node:crypto', 'node:fs', 'node:os', 'node:tls'],
  },
  'main.ts': {
    own: [
      'cli/',
      'command/',
      'config/',
      'history/prune.ts',
      'legacy/',
      'serve/',
      'telemetry/',
      'transport/sqlite/writer.ts',
    ],
    // The page of the console, as the build has made it.
    outside: ['node:fs', '../dist/console/page.txt', '../dist/console/policy.txt'],
  },
}

/** Packages that only one file may import, so that they stay replaceable. */
const doors: Readonly<Record<string, readonly string[]>> = {
  elysia: ['http/app.ts', 'admin/app.ts'],
  '@elysiajs/stream': ['stream/event-stream.ts'],
  'node:crypto': ['auth/keys.ts', 'serve/listen/certificate.ts'],
  '@redis/client': ['transport/redis/connection.ts'],
  'bun:ffi': ['serve/libc.ts', 'transport/sqlite/file/file-lock.ts'],
}

const root = new URL('../', import.meta.url).pathname
const source = join(root, 'src')
const files = filesOf(source)

const imports = await importsOf(source, files)

const scripts = filesOf(join(root, 'scripts')).map((file) => join('scripts', file))

const isBelow = (file: string, place: string) =>
  place.endsWith('/') ? file.startsWith(place) : file === place
const roomOf = (file: string) => Object.entries(rooms).find(([place]) => isBelow(file, place))?.[1]

function isAllowed({ from, to, isType }: Import): boolean {
  const room = roomOf(from)
  if (room === undefined) return false
  if (room.outside.includes(to)) return true
  return room.own.some((entry) => {
    const isTypeOnly = entry.startsWith('types:')
    return isBelow(to, entry.replace('types:', '')) && (!isTypeOnly || isType)
  })
}

const ours = imports.filter(({ to }) => files.includes(to))

interface Arrow {
  readonly from: string
  readonly to: string
}

/** The arrows in a circle, or from one to another: arrows from or to a dead end are taken away until none is left. */
function circles(arrows: readonly Arrow[]): readonly string[] {
  const begins = new Set(arrows.map(({ from }) => from))
  const ends = new Set(arrows.map(({ to }) => to))
  const rest = arrows.filter(({ from, to }) => ends.has(from) && begins.has(to))
  if (rest.length < arrows.length) return circles(rest)
  return [...new Set(arrows.map(({ from, to }) => `${from} imports ${to}`))]
}

/** The imports between places that are named by a function of the file, without those that stay in one place. */
function between(
  place: (file: string) => string,
  isOnePlace: (one: string, other: string) => boolean,
): Arrow[] {
  return ours
    .map(({ from, to }) => ({ from: place(from), to: place(to) }))
    .filter(({ from, to }) => !isOnePlace(from, to))
}

/** The comments of a source text, each as one line: a block, or lines with `//` that follow each other. */
function commentsOf(text: string): readonly string[] {
  const comments = text.match(/^ *\/\*(?:.|\n)*?\*\/|^ *\/\/.*(?:\n *\/\/.*)*/gm) ?? []
  return comments.map((comment) => {
    const words = comment.replaceAll(/^ *(?:\/\*+|\*\/|\*|\/\/)|\*\/$/gm, '')
    return words.replaceAll(/\s+/g, ' ').trim()
  })
}

/** Whether a comment hides who acts: `so many` and `whoever` name nobody, and neither does a sentence with `What`. */
function hidesItsSubject(comment: string): boolean {
  return /\b(?:so many|whoever)\b/i.test(comment) || /(?:^|\. )What /.test(comment)
}

describe('the house', () => {
  test('every file stands in a room and imports only what its room may', () => {
    expect(imports.length).toBeGreaterThan(50)
    const wrong = imports.filter((one) => !isAllowed(one)).map(({ from, to }) => `${from} imports ${to}`)
    expect(wrong).toEqual([])
  })

  test('scripts and the support of tests build on src, and neither on the other or on tests', async () => {
    const support = filesOf(join(root, 'test/support')).map((file) => join('test/support', file))
    const wrong = (some: readonly Import[], places: readonly string[]) =>
      some
        .filter(({ to }) => to.endsWith('.ts') && !places.some((place) => isBelow(to, place)))
        .map(({ from, to }) => `${from} imports ${to}`)
    expect(scripts.length).toBeGreaterThan(10)
    expect(support.length).toBeGreaterThan(10)
    expect(wrong(await importsOf(root, scripts), ['src/', 'scripts/'])).toEqual([])
    expect(wrong(await importsOf(root, support), ['src/', 'test/support/'])).toEqual([])
  })

  test('a package comes in by its own door only', () => {
    for (const [name, allowed] of Object.entries(doors)) {
      const users = imports.filter(({ to }) => to === name).map(({ from }) => from)
      expect(users.filter((file) => !allowed.includes(file))).toEqual([])
    }
  })

  test('no file is dead: main.ts reaches every one, or a script does', async () => {
    const byScripts = (await importsOf(root, scripts)).map(({ to }) => relative('src', to))
    const reached = new Set<string>(['main.ts', ...byScripts])
    for (const file of reached) for (const { from, to } of imports) if (from === file) reached.add(to)
    expect(files.filter((file) => !reached.has(file))).toEqual([])
  })

  test('a start evaluates no command', () => {
    const evaluated = new Set<string>(['main.ts'])
    for (const file of evaluated) {
      for (const { from, to, isAtOnce } of imports) if (from === file && isAtOnce) evaluated.add(to)
    }
    expect(evaluated.has('config/schema.ts')).toBe(true)
    expect([...evaluated].filter((file) => isBelow(file, 'cli/'))).toEqual(['cli/commands.ts'])
  })

  test('a start with another transport evaluates nothing of a log on a server', () => {
    const evaluated = new Set<string>(['main.ts'])
    for (const file of evaluated) {
      for (const { from, to, isAtOnce } of imports) if (from === file && isAtOnce) evaluated.add(to)
      // The server is loaded by a call, with everything but what the settings may ask for.
      if (file === 'main.ts') evaluated.add('serve/server.ts')
    }
    expect(evaluated.has('transport/sqlite/transport.ts')).toBe(true)
    expect([...evaluated].filter((file) => /redis/.test(file))).toEqual([])
  })

  test('a folder has at most 20 files: with more it holds a second noun', () => {
    const sizes = new Map<string, number>()
    for (const file of files) sizes.set(dirname(file), (sizes.get(dirname(file)) ?? 0) + 1)
    expect([...sizes].filter(([, size]) => size > 20)).toEqual([])
  })

  // Types count: who reads one file of a circle has to read all of them.
  test('no files import each other in a circle', () => {
    expect(circles(ours)).toEqual([])
  })

  test('no rooms import each other in a circle, and no folders in them', () => {
    const room = (file: string) => file.split(sep)[0] ?? file
    expect(circles(between(room, (one, other) => one === other))).toEqual([])
    // A folder belongs to the one that holds it, as `url-pattern/` to `protocol/`.
    const isWithin = (one: string, other: string) => other === '.' || `${one}/`.startsWith(`${other}/`)
    const isOne = (one: string, other: string) => isWithin(one, other) || isWithin(other, one)
    expect(circles(between(dirname, isOne))).toEqual([])
  })

  test('a circle is found, however long it is and wherever it hangs', () => {
    const arrow = (text: string): Arrow => ({ from: text.charAt(0), to: text.charAt(1) })
    expect(circles(['ab', 'bc', 'ac', 'cd'].map(arrow))).toEqual([])
    expect(circles(['ab', 'bc', 'cb', 'cd'].map(arrow))).toEqual(['b imports c', 'c imports b'])
    expect(circles(['ab', 'bc', 'cd', 'da'].map(arrow)).length).toBe(4)
    expect(circles([arrow('aa')])).toEqual(['a imports a'])
  })

  test('protocol and hub read no clock, no chance and no environment', async () => {
    const pure = files.filter((file) => /^(protocol|hub)\//.test(file))
    const found: string[] = []
    for (const file of pure) {
      const text = await Bun.file(join(source, file)).text()
      if (
        /\b(Date\.now|new Date|performance\.now|Math\.random|crypto\.\w|process\.\w|setTimeout|setInterval|Bun\.)/.test(
          text,
        )
      ) {
        found.push(file)
      }
    }
    expect(found).toEqual([])
  })

  test('no barrels, no default exports, no rooms without a noun', async () => {
    for (const file of files) {
      expect(file).not.toMatch(/(^|\/)(index|utils?|types|helpers?|common)\b/)
      expect(await Bun.file(join(source, file)).text()).not.toMatch(/^export default\b/m)
    }
  })

  test('every comment says who acts', async () => {
    const found: string[] = []
    for (const file of files) {
      const comments = commentsOf(await Bun.file(join(source, file)).text())
      found.push(...comments.filter(hidesItsSubject).map((comment) => `${file}: ${comment}`))
    }
    expect(found).toEqual([])
  })

  test('a comment that hides who acts is found, wherever its lines break', () => {
    const text = [
      '/** What it is. */',
      'const a = 1',
      '  /**',
      '   * Takes so',
      '   * many of them.',
      '   */',
      '  const b = 2 // What',
      '// Whoever asks.',
      '// It answers.',
      '  // It answers.',
      '  // What follows is taken.',
      "const c = 'What is it?'",
      '// It tells what it is. Whatever comes is many.',
    ].join('\n')
    const comments = [
      'What it is.',
      'Takes so many of them.',
      'Whoever asks. It answers. It answers. What follows is taken.',
      'It tells what it is. Whatever comes is many.',
    ]
    expect(commentsOf(text)).toEqual(comments)
    expect(comments.filter(hidesItsSubject)).toEqual(comments.slice(0, 3))
  })

  test('every dependency is pinned, used, and explained in ARCHITECTURE.md', async () => {
    const manifest = await Bun.file(join(root, 'package.json')).json()
    const site = await Bun.file(join(root, 'site/package.json')).json()
    const architecture = await Bun.file(join(root, 'ARCHITECTURE.md')).text()
    const versions = { ...manifest.dependencies, ...manifest.devDependencies, ...site.devDependencies }
    for (const [name, version] of Object.entries(versions)) {
      expect(`${name} ${version}`).toMatch(/[ @]\d+\.\d+\.\d+$/)
      expect(architecture).toContain(`\`${name}\``)
    }
    const used = new Set(imports.map(({ to }) => to))
    for (const name of Object.keys(manifest.dependencies)) expect([...used]).toContain(name)
    const ours = ['../package.json', '../dist/console/page.txt', '../dist/console/policy.txt']
    // The build puts these into the page: they are no dependencies of the executable's own code.
    const browser = rooms['admin/page/']?.outside ?? []
    const known = new Set([...Object.keys(manifest.dependencies), ...ours, ...browser, ...builtinModules])
    const strays = [...used].filter((to) => !files.includes(to) && !known.has(to) && !/^(node|bun):/.test(to))
    expect(strays).toEqual([])
  })
})
