/** Prints the closing line of the test run from the runner's report, and fails when the report has a failure. */
const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: count.ts REPORT')

const report = await Bun.file(path).text()
const totals = /<testsuites\b[^>]*>/.exec(report)?.[0] ?? ''
const total = count('tests')
const failures = count('failures') + count('errors')
const skipped = count('skipped')
const failed = total === 0 ? 1 : failures
console.log(`${total - failures - skipped} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed === 0 ? 0 : 1

function count(name: string): number {
  return Number(new RegExp(`\\b${name}="(\\d+)"`).exec(totals)?.[1] ?? 0)
}

export {}
