/** A process of its own that appends until it is killed, and prints each id once it is acknowledged. */
import { envelope } from '../contract.ts'
import { sqliteLogAt } from './log.ts'

const [path, prefix] = process.argv.slice(2)
if (path === undefined || prefix === undefined) throw new Error('usage: sqlite-child.ts PATH PREFIX')

const { transport } = sqliteLogAt(path)
await transport.open(() => {})
console.log('open')

let count = 0
async function appendForEver(): Promise<never> {
  for (;;) {
    const id = `${prefix}-${count++}`
    await transport.append(envelope(id, 500))
    console.log(id)
  }
}
await Promise.all(Array.from({ length: 8 }, appendForEver))
