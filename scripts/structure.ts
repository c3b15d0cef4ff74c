import { filesOf, importsOf } from './imports.ts'

/**
 * Draws the floors of src from its imports, into ARCHITECTURE.md: a room stands one floor above the highest of those
 * that it imports from. With --check it fails when the picture there is not the one of today.
 */

const root = new URL('../', import.meta.url).pathname
const page = `${root}ARCHITECTURE.md`
const begin = '<!-- the floors, drawn by scripts/structure.ts -->'
const end = '<!-- the end of the floors -->'

const files = filesOf(`${root}src`)
const imports = await importsOf(`${root}src`, files)

/** A folder of src, or a file that stands in none. */
const roomOf = (file: string) => (file.includes('/') ? file.replace(/\/.*/s, '/') : file)
const rooms = [...new Set(files.map(roomOf))]

/** The rooms below each. */
const below = new Map(
  rooms.map((room) => {
    const others = imports
      .filter(({ from, to }) => roomOf(from) === room && files.includes(to))
      .map(({ to }) => roomOf(to))
    return [room, [...new Set(others)].filter((other) => other !== room)] as const
  }),
)

function floorOf(room: string, above: readonly string[] = []): number {
  if (above.includes(room)) throw new Error(`a circle of folders: ${[...above, room].join(' -> ')}`)
  const floors = (below.get(room) ?? []).map((other) => floorOf(other, [...above, room]))
  return 1 + Math.max(0, ...floors)
}

function picture(): string {
  const floors = Map.groupBy(rooms, (room) => floorOf(room))
  const lines = [...floors]
    .sort(([left], [right]) => right - left)
    .flatMap(([floor, those]) =>
      those.map((room, at) => {
        const count = files.filter((file) => roomOf(file) === room).length
        const name = room.endsWith('/') ? `${room} ${count}` : room
        const highest = (below.get(room) ?? []).toSorted((left, right) => floorOf(right) - floorOf(left))
        const stands = highest.length === 0 ? '' : `on ${highest.join(' ')}`
        return `${at === 0 ? `floor ${floor}` : '       '}  ${name.padEnd(14)} ${stands}`.trimEnd()
      }),
    )
  return `\`\`\`text\n${lines.join('\n')}\n\`\`\``
}

const text = await Bun.file(page).text()
const [start, stop] = [text.indexOf(begin), text.indexOf(end)]
if (start === -1 || stop === -1) throw new Error('ARCHITECTURE.md has no place for the floors')
const drawn = `${text.slice(0, start + begin.length)}\n${picture()}\n${text.slice(stop)}`
if (process.argv.includes('--check')) {
  if (drawn !== text) {
    console.error('ARCHITECTURE.md: the floors have changed; run bun scripts/structure.ts')
    process.exit(1)
  }
} else {
  await Bun.write(page, drawn)
}
