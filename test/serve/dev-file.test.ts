import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DevFile } from '../../src/serve/dev-file.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cinnabar-dev-'))
  path = join(folder, 'dev.json')
})
afterEach(() => rmSync(folder, { recursive: true }))

let made = 0
const file = () => new DevFile(path, () => String(++made).padStart(32, 'k'))
const hub = { url: 'http://localhost:1/hub', issuer: 'http://localhost:1', audience: 'urn:x' }

describe('M14 the keys of --dev', () => {
  test('are made once, for this user alone, and leave no other file', () => {
    const { publisher, subscriber } = file().open()
    expect(publisher).toBe(subscriber)
    expect(file().open().publisher).toBe(publisher)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['dev.json'])
  })

  test('are remembered with the hub, which a hub that starts does not ask for', () => {
    const { publisher } = file().open()
    expect(file().read().hub).toBeNull()
    expect(file().record(hub)).toBe(true)
    expect(file().read()).toEqual({ publisher, subscriber: publisher, hub })
    expect(file().open()).toEqual({ publisher, subscriber: publisher, hub: null })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['dev.json'])
  })

  test('are the same for two hubs that start at once', () => {
    // The second one makes its file while the first is about to.
    let second: string | null = null
    const first = new DevFile(path, () => {
      second ??= file().open().publisher
      return 'f'.repeat(32)
    })
    expect(first.open().publisher).toBe(String(second))
    expect(readdirSync(folder)).toEqual(['dev.json'])
  })

  test('are not there without a file', () => {
    expect(() => file().read()).toThrow('start one here: cinnabar serve --dev')
    expect(file().record(hub)).toBe(false)
    expect(readdirSync(folder)).toEqual([])
  })

  const content = JSON.stringify({ key: 'k'.repeat(32) })
  const isRoot = process.geteuid?.() === 0

  test.each([
    ['a symbolic link', () => symlinkSync(join(folder, 'other'), path), 'is a symbolic link'],
    ['a named pipe', () => void Bun.spawnSync(['mkfifo', '-m', '600', path]), 'is no plain file'],
    ['a folder', () => void Bun.spawnSync(['mkdir', path]), 'is no plain file'],
    [
      'a file that others may read',
      () => writeFileSync(path, content, { mode: 0o644 }),
      'may be read or written by',
    ],
    ['an empty file', () => writeFileSync(path, '', { mode: 0o600 }), 'holds no key'],
    ['a short key', () => writeFileSync(path, '{"key":"k"}', { mode: 0o600 }), 'holds no key'],
    ['something else', () => writeFileSync(path, 'x'.repeat(10_000), { mode: 0o600 }), 'holds no key'],
  ])('are not taken from %s, and the run has its own', (_, place, problem) => {
    writeFileSync(join(folder, 'other'), content, { mode: 0o600 })
    place()
    expect(() => file().read()).toThrow(problem)
    const run = file().openForRun()
    expect(run.problem).toContain(problem)
    expect(run.keys.publisher).toHaveLength(32)
    expect(run.keys.publisher).not.toBe('k'.repeat(32))
    expect(file().record(hub)).toBe(false)
    expect(readFileSync(join(folder, 'other'), 'utf8')).toBe(content)
  })

  // Only root can give a file away.
  test.skipIf(!isRoot)('are not taken from the file of another user', () => {
    writeFileSync(path, content, { mode: 0o600 })
    chownSync(path, 65_534, 65_534)
    expect(() => file().read()).toThrow('belongs to another user')
  })

  // Root may write everywhere.
  test.skipIf(isRoot)('are for the run where the folder cannot be written', () => {
    chmodSync(folder, 0o500)
    expect(file().openForRun().problem).toContain('cannot be written (EACCES)')
    chmodSync(folder, 0o700)
  })

  test('are whole with a hub that is not', () => {
    writeFileSync(path, JSON.stringify({ key: 'k'.repeat(32), hub: { url: 'x' } }), { mode: 0o600 })
    expect(file().read().hub).toBeNull()
  })
})
