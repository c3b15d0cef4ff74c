import { describe, expect, test } from 'bun:test'
import { containerMemory } from '../../src/serve/system/cgroup.ts'

const MiB = 2 ** 20
/** What version 1 says where there is no limit. */
const none = '9223372036854771712\n'

/** The limit of a process that sees these files and no others. */
function limitOf(files: Readonly<Record<string, string>>): number | null {
  return containerMemory((path) => {
    const text = files[path]
    if (text === undefined) throw new Error(`ENOENT ${path}`)
    return text
  })
}

const proc = (cgroup: string, ...mounts: readonly string[]) => ({
  '/proc/self/cgroup': `${cgroup}\n`,
  '/proc/self/mountinfo': ['22 27 0:21 / /proc rw - proc proc rw', ...mounts, ''].join('\n'),
})

const unified = (root = '/', mountPoint = '/sys/fs/cgroup') =>
  `31 24 0:26 ${root} ${mountPoint} ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate`
const first = (root = '/', mountPoint = '/sys/fs/cgroup/memory') =>
  `35 31 0:32 ${root} ${mountPoint} rw,relatime shared:9 master:2 - cgroup cgroup rw,memory`

describe('control groups of version 2', () => {
  test('a container with a name space of its own', () => {
    const files = { ...proc('0::/', unified()), '/sys/fs/cgroup/memory.max': `${128 * MiB}\n` }
    expect(limitOf(files)).toBe(128 * MiB)
  })

  test('`max` is no limit, and so is none of the files', () => {
    expect(limitOf({ ...proc('0::/', unified()), '/sys/fs/cgroup/memory.max': 'max\n' })).toBeNull()
    expect(limitOf(proc('0::/', unified()))).toBeNull()
  })

  const nested = proc('0::/system.slice/cinnabar.service', unified())
  test.each([
    ['max', String(512 * MiB), String(256 * MiB), 256],
    ['max', String(128 * MiB), String(256 * MiB), 128],
    ['max', String(128 * MiB), 'max', 128],
    [String(64 * MiB), 'max', 'max', 64],
    ['max', 'max', 'max', null],
  ])(
    'the lowest limit from the root, %s, over a slice, %s, to the service, %s',
    (root, slice, service, limit) => {
      const files = {
        ...nested,
        '/sys/fs/cgroup/memory.max': `${root}\n`,
        '/sys/fs/cgroup/system.slice/memory.max': `${slice}\n`,
        '/sys/fs/cgroup/system.slice/cinnabar.service/memory.max': `${service}\n`,
      }
      expect(limitOf(files)).toBe(limit === null ? null : limit * MiB)
    },
  )

  test('the root has no file', () => {
    const files = { ...nested, '/sys/fs/cgroup/system.slice/cinnabar.service/memory.max': `${64 * MiB}\n` }
    expect(limitOf(files)).toBe(64 * MiB)
  })

  test('a group outside of what can be seen is what is mounted', () => {
    const limit = { '/sys/fs/cgroup/memory.max': `${64 * MiB}\n` }
    expect(limitOf({ ...proc('0::/../other', unified()), ...limit })).toBe(64 * MiB)
    expect(limitOf({ ...proc('0::/elsewhere', unified('/docker/abc')), ...limit })).toBe(64 * MiB)
  })

  test('a part of the tree is mounted somewhere else, with a blank in its name', () => {
    const mount = unified('/docker/abc', '/var/my\\040groups')
    const files = {
      ...proc('0::/docker/abc/inner', mount),
      '/var/my groups/memory.max': 'max\n',
      '/var/my groups/inner/memory.max': `${96 * MiB}\n`,
    }
    expect(limitOf(files)).toBe(96 * MiB)
  })
})

describe('control groups of version 1', () => {
  test('a container whose group is what is mounted', () => {
    const files = {
      ...proc('4:memory:/docker/abc\n1:name=systemd:/docker/abc', first('/docker/abc')),
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${128 * MiB}\n`,
    }
    expect(limitOf(files)).toBe(128 * MiB)
  })

  test('the lowest limit on the way; the largest number is none', () => {
    const files = (own: string) => ({
      ...proc('11:cpu,cpuacct:/x\n4:hugetlb,memory:/a/b', first()),
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': none,
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': `${256 * MiB}\n`,
      '/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes': own,
    })
    expect(limitOf(files(none))).toBe(256 * MiB)
    expect(limitOf(files(`${64 * MiB}\n`))).toBe(64 * MiB)
  })

  test.each([
    none,
    '9223372036854710272\n',
    '18446744073709551615\n',
    '9007199254740991\n',
    '-1\n',
    '0\n',
    '',
    'x',
  ])('%j is no limit', (text) => {
    const files = { ...proc('4:memory:/', first()), '/sys/fs/cgroup/memory/memory.limit_in_bytes': text }
    expect(limitOf(files)).toBeNull()
  })

  test('beside an empty tree of version 2, which limits nothing', () => {
    const files = {
      ...proc('4:memory:/a\n0::/', first(), unified('/', '/sys/fs/cgroup/unified')),
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': `${64 * MiB}\n`,
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': none,
    }
    expect(limitOf(files)).toBe(64 * MiB)
  })

  test('trees that limit something else do not count', () => {
    const cpu = '32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu'
    const files = {
      ...proc('3:cpu:/a\n0::/', cpu),
      '/sys/fs/cgroup/cpu/memory.limit_in_bytes': `${64 * MiB}\n`,
      '/sys/fs/cgroup/cpu/a/memory.limit_in_bytes': `${64 * MiB}\n`,
    }
    expect(limitOf(files)).toBeNull()
  })
})

test('without /proc there is no limit to be known', () => {
  expect(limitOf({})).toBeNull()
})
