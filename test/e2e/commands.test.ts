import { describe, expect, test } from 'bun:test'
import { binaryPath, metric, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { bareEnv } from '../support/run-command.ts'

/** Runs a line of the shell with `$C` as the executable. */
async function shell(line: string) {
  const child = Bun.spawn(['sh', '-c', line], {
    env: { ...bareEnv, C: binaryPath() },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code: await child.exited, stdout, stderr }
}

describe('the executable on a command line', () => {
  test('version says what it is made of, without quotes that are not part of it', async () => {
    const { stdout } = await shell('"$C" version --json')
    const { commit, target } = JSON.parse(stdout)
    expect(commit).toMatch(/^(?:[0-9a-f]{12}|unknown)$/)
    expect(target).toMatch(/^[a-z0-9]+-[a-z0-9]+(?:-musl)?$/)
  })

  test('what objects inherit is no command', async () => {
    for (const name of ['toString', 'constructor', '__proto__']) {
      const { code, stderr } = await shell(`"$C" ${name}`)
      expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('is not a command') })
    }
  })

  test('a reader of its output that leaves early is no failure to talk about', async () => {
    // The help is longer than what a pipe holds for a reader that is gone.
    for (const command of ['help serve', 'config', 'serve --help']) {
      const { stdout, stderr } = await shell(`"$C" ${command} | true; "$C" ${command} | head -n 1`)
      expect(stdout.split('\n')).toHaveLength(2)
      expect(stderr).toBe('')
    }
  })

  test('subscribe ends with 0 when it is interrupted, and keeps what it has printed', async () => {
    const hub = await startHub({ flags: ['--hub-anonymous', '--transport', 'memory'] })
    const child = Bun.spawn([binaryPath(), 'subscribe', 'a', '--hub', hub.url], {
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    await until('the subscriber', async () => (await metric(hub, 'mercure_subscribers_connected')) === 1)
    const id = await publish(hub.url, { topic: 'a', data: 'hello' })
    await until('its delivery', async () => (await metric(hub, 'cinnabar_deliveries_total')) === 1)
    const { value } = await child.stdout.getReader().read()
    child.kill('SIGINT')
    expect([await child.exited, child.signalCode]).toEqual([0, null])
    expect(new TextDecoder().decode(value)).toContain(id)
    await hub.dispose()
  })

  test.each([
    ['histroy', 'did you mean history?'],
    ['history stast', '"stast" is not a subcommand; did you mean stats?'],
    ['bench fanuot', 'not "fanuot"; did you mean fanout?'],
    ['bench toString', 'not "toString"'],
    ['token expalin x', 'did you mean cinnabar token explain?'],
    ['--versoin', 'did you mean --version?'],
    ['help histroy', 'did you mean history?'],
    ['publish', 'an argument is missing: TOPIC…'],
    ['token explain', 'an argument is missing: TOKEN|-'],
    ['bench', 'an argument is missing: fanout|publish'],
    ['publish t --retyr 5', '--retyr is not an option; did you mean --retry?'],
    ['publish t --retry soon', '--retry is not a duration such as 250ms, 20s, 10m, 24h or 7d: "soon"'],
    ['subscribe --limit x', '--limit is not a number from 1: "x"'],
    ['subscribe --hub ftp://me:hunter2@x', 'not an http or https URL: "ftp://***@x"'],
    ['token --publish a --ttl 5', '--ttl is not a duration such as 250ms, 20s, 10m, 24h or 7d: "5"'],
    ['health --url x', '--url is not an absolute URL: "x"'],
    ['history stats --top x', '--top is not a whole number: "x"'],
    ['history prune --urlpattern {a', '--urlpattern "{a" is refused by the hub: '],
    ['bench publish --rate x', '--rate is not a number from 1: "x"'],
  ])('%s ends with 2 and says which word is wrong', async (words, message) => {
    const { code, stdout, stderr } = await shell(`cd /tmp; "$C" ${words}`)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/\nTry: cinnabar [a-z ]*(--help|help)\n$/)
    expect(stderr).not.toContain('hunter2')
  })

  test.each([
    ['-h', 'Usage: cinnabar COMMAND'],
    ['--help', 'Usage: cinnabar COMMAND'],
    ['help', 'Usage: cinnabar COMMAND'],
    ['help help', 'Usage: cinnabar COMMAND'],
    ['-v', 'cinnabar '],
    ['-V', 'cinnabar '],
    ['--version', 'cinnabar '],
    ['serve -h', 'Usage: cinnabar serve'],
    ['help serve', 'Usage: cinnabar serve'],
    ['help token', 'Usage: cinnabar token '],
    ['help token explain', 'Usage: cinnabar token explain'],
    ['help history', 'Usage: cinnabar history'],
    ['help history prune', 'Usage: cinnabar history prune'],
    ['history -h', 'Usage: cinnabar history'],
    ['help bench', 'Usage: cinnabar bench fanout'],
    ['bench memory -h', 'Usage: cinnabar bench memory'],
    ['config -h', 'Usage: cinnabar config'],
  ])('%s answers on the standard output', async (words, start) => {
    const { code, stdout, stderr } = await shell(`"$C" ${words}`)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toStartWith(start)
  })

  test('a command that does not exist ends with 2 and says where to look', async () => {
    expect(await shell('"$C" frobnicate')).toMatchObject({ code: 2, stdout: '' })
  })
})
