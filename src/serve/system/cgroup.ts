/**
 * The memory that the container of this process may take, in bytes; null without a limit. It is the lowest one on the
 * way from the control group of the process up to the highest that it can see, in version 2 and in version 1 of
 * control groups (Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst). `readFile` throws for
 * a file that is not there; then nobody can know a limit.
 */
export function containerMemory(readFile: (path: string) => string): number | null {
  const read = (path: string) => attempt(() => readFile(path)) ?? ''
  const groups = read('/proc/self/cgroup').split('\n')
  const limits = read('/proc/self/mountinfo')
    .split('\n')
    .flatMap((line) => hierarchyOf(line) ?? [])
    .flatMap((hierarchy) => filesOf(hierarchy, groups).map(read))
    .map(parseLimit)
    .filter((limit) => limit !== null)
  return limits.length === 0 ? null : Math.min(...limits)
}

/** A mounted tree of control groups that limits memory. */
interface Hierarchy {
  readonly isUnified: boolean
  /** The group that is at the mount point. */
  readonly root: string
  readonly mountPoint: string
}

/** A line of mountinfo: id, parent, device, root, mount point, options, fields, a dash, type, source, options. */
function hierarchyOf(line: string): Hierarchy | null {
  const [before = '', after = ''] = line.split(' - ')
  const [, , , root = '', mountPoint = ''] = before.split(' ').map(decoded)
  const [type, , options = ''] = after.split(' ')
  const isUnified = type === 'cgroup2'
  if (!isUnified && !(type === 'cgroup' && options.split(',').includes('memory'))) return null
  return { isUnified, root, mountPoint }
}

/** The files with the limits, from the group of the process up. */
function filesOf({ isUnified, root, mountPoint }: Hierarchy, groups: readonly string[]): readonly string[] {
  const name = isUnified ? 'memory.max' : 'memory.limit_in_bytes'
  const own = groups.flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    return (isUnified ? controllers === '' : controllers.split(',').includes('memory')) ? [path] : []
  })
  const parts = belowRoot(own[0] ?? '/', root)
  return [...parts.keys(), parts.length].map((count) =>
    [mountPoint, ...parts.slice(0, count), name].join('/').replace(/^\/+/, '/'),
  )
}

/**
 * The names of the groups between the mounted group and that of the process; none where the latter is not below, as a
 * container sees it that has no name space of its own.
 */
function belowRoot(path: string, root: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '')
  const above = root.split('/').filter((part) => part !== '')
  const isBelow = above.every((part, at) => parts[at] === part) && !parts.includes('..')
  return isBelow ? parts.slice(above.length) : []
}

/** The limit in bytes, or null for `max` and for the largest number of version 1. */
function parseLimit(text: string): number | null {
  const limit = /^\d+\n?$/.test(text) ? Number(text) : 0
  return limit > 0 && limit < Number.MAX_SAFE_INTEGER ? limit : null
}

/** The field with its blanks, which mountinfo writes as octal numbers. */
function decoded(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}

function attempt(read: () => string): string | null {
  try {
    return read()
  } catch {
    return null
  }
}
