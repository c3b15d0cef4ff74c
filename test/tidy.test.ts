import { describe, expect, test } from 'bun:test'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
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
  'protocol/': { own: ['protocol/'], outside: ['valibot', 're2js'] },
  'hub/': { own: ['protocol/', 'hub/'], outside: [] },
  'stream/': { own: ['stream/', 'types:hub/', 'hub/loop.ts', 'protocol/'], outside: ['@elysiajs/stream'] },
  'transport/': { own: ['transport/', 'hub/', 'protocol/'], outside: ['bun:sqlite', 'node:fs'] },
  'history/': {
    own: ['history/', 'transport/', 'protocol/'],
    outside: ['bun:sqlite', 'node:fs', 'node:path', 'valibot'],
  },
  'auth/': { own: ['protocol/', 'auth/'], outside: ['jose', 'valibot', 'node:crypto'] },
  'http/': {
    own: ['http/', 'stream/', 'types:hub/', 'hub/loop.ts', 'protocol/', 'types:auth/'],
    outside: ['elysia', 'node:net'],
  },
  'telemetry/': { own: ['telemetry/', 'types:hub/'], outside: [] },
  'admin/': { own: ['admin/', 'types:hub/', 'telemetry/'], outside: ['elysia', 'prom-client'] },
  'config/': { own: ['config/', 'protocol/matcher.ts'], outside: ['valibot'] },
  'command/': { own: ['command/', 'config/', 'types:auth/'], outside: [] },
  'bench/': {
    own: ['bench/', 'command/', 'config/', 'auth/', 'history/'],
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
    ],
    outside: ['../package.json', 'node:fs'],
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
    outside: ['bun:ffi', 'node:crypto', 'node:fs', 'node:tls'],
  },
  'main.ts': {
    own: ['cli/', 'command/', 'config/', 'serve/', 'telemetry/', 'transport/sqlite/writer.ts'],
    outside: ['node:fs'],
  },
}

/** Packages that only one file may import, so that they stay replaceable. */
const doors: Readonly<Record<string, readonly string[]>> = {
  elysia: ['http/app.ts', 'admin/app.ts'],
  '@elysiajs/stream': ['stream/event-stream.ts'],
  'node:crypto': ['auth/keys.ts', 'serve/certificate.ts'],
  'bun:ffi': ['serve/libc.ts'],
  re2js: ['protocol/url-pattern/regexp.ts'],
}

const root = new URL('../', import.meta.url).pathname
const source = join(root, 'src')
const files = filesOf(source)

const imports = await importsOf(source, files)

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

describe('the house', () => {
  test('every file stands in a room and imports only what its room may', () => {
    expect(imports.length).toBeGreaterThan(50)
    const wrong = imports.filter((one) => !isAllowed(one)).map(({ from, to }) => `${from} imports ${to}`)
    expect(wrong).toEqual([])
  })

  test('a package comes in by its own door only', () => {
    for (const [name, allowed] of Object.entries(doors)) {
      const users = imports.filter(({ to }) => to === name).map(({ from }) => from)
      expect(users.filter((file) => !allowed.includes(file))).toEqual([])
    }
  })

  test('no file is dead: main.ts reaches every one', () => {
    const reached = new Set<string>(['main.ts'])
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

  test('every dependency is pinned, used, and explained in ARCHITECTURE.md', async () => {
    const manifest = await Bun.file(join(root, 'package.json')).json()
    const architecture = await Bun.file(join(root, 'ARCHITECTURE.md')).text()
    const versions = { ...manifest.dependencies, ...manifest.devDependencies }
    for (const [name, version] of Object.entries(versions)) {
      expect(`${name} ${version}`).toMatch(/ \d+\.\d+\.\d+$/)
      expect(architecture).toContain(`\`${name}\``)
    }
    const used = new Set(imports.map(({ to }) => to))
    for (const name of Object.keys(manifest.dependencies)) expect([...used]).toContain(name)
    const known = new Set([...Object.keys(manifest.dependencies), '../package.json', ...builtinModules])
    const strays = [...used].filter((to) => !files.includes(to) && !known.has(to) && !/^(node|bun):/.test(to))
    expect(strays).toEqual([])
  })
})
