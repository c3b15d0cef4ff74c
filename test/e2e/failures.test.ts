import { describe, expect, test } from 'bun:test'
import { createServer, type Socket } from 'node:net'
import { binaryPath, startHub, until } from '../support/binary.ts'
import { bareEnv, runCommand } from '../support/run-command.ts'

/** Something outside of the program goes wrong, and the user reads one line of words and no source. */

const source = /\$bunfs|\bat \w|=>|Bun v|verbose|\bundefined\b|Is the computer/

/** Runs a line of the shell with `$C` as the executable. */
async function shell(line: string) {
  const child = Bun.spawn(['sh', '-c', line], {
    cwd: '/tmp',
    env: { ...bareEnv, C: binaryPath() },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}

/** A server that does one thing to every connection. */
async function strangeServer(onData: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => onData(socket))
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', () => listening.resolve())
  await listening.promise
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, url: `http://127.0.0.1:${port}`, [Symbol.dispose]: () => void server.close() }
}

describe('a standard output that takes nothing', () => {
  test.each(['config', 'help serve', 'help', 'version', 'check --hub-anonymous', 'token --help'])(
    '%s ends with 1 and says why, in one line',
    async (words) => {
      const { code, err } = await shell(`"$C" ${words} 2>&1 >/dev/full | grep -v ^warning >&2`)
      expect(code).toBe(0)
      expect(err).toMatch(/^cinnabar \w+: the standard output cannot be written: ENOSPC\n$/)
      expect((await shell(`"$C" ${words} >/dev/full`)).code).toBe(1)
    },
  )

  test('a closed one, and a standard error that takes nothing, change no exit code', async () => {
    expect((await shell('"$C" version >&-')).code).toBe(0)
    expect((await shell('"$C" check --nope 2>/dev/full')).code).toBe(2)
    expect((await shell('"$C" check --nope 2>&-')).code).toBe(2)
    expect((await shell('"$C" frobnicate 2>&1 >/dev/null | true')).code).toBe(0)
  })

  test.each(['>/dev/full', '| true', '2>/dev/full'])('a hub goes on with %s', async (redirection) => {
    const flags = '--dev --transport memory --admin-listen "" --listen unix:$D/hub.sock'
    const line = `D=$(mktemp -d); cd $D; "$C" serve ${flags} ${redirection} & echo $D; wait`
    const child = Bun.spawn(['sh', '-c', line], {
      env: { ...bareEnv, C: binaryPath() },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const reader = child.stdout.getReader()
    const folder = new TextDecoder().decode((await reader.read()).value).trim()
    const unix = `${folder}/hub.sock`
    const isReady = () =>
      fetch('http://localhost/readyz', { unix }).then(
        ({ ok }) => ok,
        () => false,
      )
    await until('the hub', isReady)
    // It has printed its lines by then, and still answers.
    for (let times = 0; times < 50; times++) expect(await isReady()).toBe(true)
    process.kill(-child.pid, 'SIGTERM')
    await child.exited
    expect(await new Response(child.stderr).text()).not.toMatch(source)
    await Bun.$`rm -r ${folder}`
  })
})

describe('a hub that does not answer', () => {
  test.each([
    ['http://127.0.0.1:1', 'the connection is refused'],
    ['http://nowhere.invalid', 'there is no such host'],
    ['https://127.0.0.1:1', 'the connection is refused'],
  ])('%s: %s', async (url, reason) => {
    for (const words of ['publish t --data x', 'health --url', 'bench publish --publishers 1']) {
      const option = words.endsWith('--url') ? '' : ' --hub'
      const { code, out, err } = await runCommand(`${words}${option} ${url}`.split(' '), '/tmp')
      expect({ code, out, lines: err.split('\n').length }).toEqual({ code: 1, out: '', lines: 2 })
      expect(err).toContain(reason)
      expect(err).not.toMatch(source)
    }
  })

  test('one that hangs up, resets, breaks off, or speaks nonsense is told in words', async () => {
    const acts: readonly ((socket: Socket) => void)[] = [
      (socket) => socket.end(),
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.end('nonsense\r\n\r\n'),
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'),
      (socket) =>
        socket.end('HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nabc'),
    ]
    for (const act of acts) {
      using server = await strangeServer(act)
      const { code, err } = await runCommand(['publish', 't', '--data', 'x', '--hub', server.url], '/tmp')
      expect({ code, lines: err.split('\n').length }).toEqual({ code: 1, lines: 2 })
      expect(err).not.toMatch(source)
    }
  })

  test('one with a certificate of its own making is named so', async () => {
    using server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      tls: await selfSigned(),
      fetch: () => new Response('x'),
    })
    const { code, err } = await runCommand(['publish', 't', '--data', 'x', '--hub', server.url.href], '/tmp')
    expect([code, err]).toEqual([
      1,
      `cinnabar publish: ${server.url.origin} does not answer: its certificate is not accepted (DEPTH_ZERO_SELF_SIGNED_CERT)\n`,
    ])
  })
})

describe('files', () => {
  test.each([
    [
      'token --publish a --iss i --aud urn:x --key-file /none',
      /^cinnabar token: --key-file cannot be read: ENOENT\n$/,
    ],
    ['history import /none', /^cinnabar history import: there is no file "?\/none"?\n$/],
    ['bench publish --pid 1000000000', /^cinnabar bench: --pid cannot be looked at: ENOENT\n/],
  ])('%s', async (words, message) => {
    const { code, err } = await runCommand(words.split(' '), '/tmp')
    expect(code).toBeWithin(1, 3)
    expect(err).toMatch(message)
  })

  test.each(['publish t --data -', 'token explain - --aud urn:x', 'history import -'])(
    'a standard input that cannot be read ends %s with one line',
    async (words) => {
      const folder = await shell('mktemp -d')
      const { code, err } = await shell(`cd ${folder.out.trim()}; "$C" ${words} < .`)
      expect([code, err.replace(/^cinnabar [a-z ]+: /, '')]).toEqual([
        1,
        'the standard input cannot be read: EISDIR\n',
      ])
      const bytes = await shell(`cd ${folder.out.trim()}; printf 'a\\377' | "$C" ${words}`)
      expect([bytes.code, bytes.err.replace(/^cinnabar [a-z ]+: /, '')]).toEqual([
        1,
        'the standard input cannot be read: it is not UTF-8 text\n',
      ])
      await shell(`rmdir ${folder.out.trim()}`)
    },
  )
})

describe('a hub that cannot start says so as a line of its log', () => {
  async function errorsOf(words: readonly string[]) {
    const { code, err } = await runCommand(['serve', ...words], '/tmp')
    const lines = err
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
    return {
      code,
      messages: lines.filter(({ level }) => level === 'error').map(({ message }) => message),
      lines,
    }
  }
  const flags = ['--hub-anonymous', '--transport', 'memory', '--admin-listen', '']

  test('every problem of the configuration is one', async () => {
    const { code, messages, lines } = await errorsOf(['--limits-body=x', '--hub-retry=y', '--listen', 'z'])
    expect(code).toBe(78)
    expect(messages.map((message) => message.split(':')[0]).sort()).toEqual([
      '--hub-retry',
      '--limits-body',
      '--listen',
    ])
    for (const line of lines) expect(Object.keys(line)).toEqual(['time', 'level', 'message'])
    expect((await errorsOf(['--nope'])).messages).toEqual(['--nope: is not a flag'])
    expect((await errorsOf(['--transport=redis', '--redis-url=redis://127.0.0.1:1'])).messages).toHaveLength(
      1,
    )
  })

  test('in words for whoever wants them', async () => {
    const { code, err } = await runCommand(['serve', '--log-format=pretty', '--limits-body=x'], '/tmp')
    expect([code, err]).toEqual([78, expect.stringMatching(/^--limits-body: "x" is not a size[^\n]*\n$/)])
  })

  test('an address that is taken is said with the name of the setting', async () => {
    await using hub = await startHub({ flags: ['--hub-anonymous', '--transport', 'memory'] })
    const { host } = new URL(hub.origin)
    const reason = `${host} is in use by another process`
    expect(await errorsOf([...flags, '--listen', host])).toMatchObject({
      code: 1,
      messages: [`listen: ${reason}`],
    })
    const admin = ['--listen', '127.0.0.1:0', '--admin-listen', host]
    expect((await errorsOf([...flags, ...admin])).messages).toEqual([`admin.listen: ${reason}`])
  })

  test.each([
    ['nowhere.invalid:0', 'there is no host nowhere.invalid'],
    ['300.1.1.1:0', 'there is no host 300.1.1.1'],
    ['192.0.2.1:0', '192.0.2.1:0 is not an address of this machine'],
    ['[2001:db8::1]:0', '[2001:db8::1]:0 is not an address of this machine'],
    ['unix:/none/hub.sock', 'unix:/none/hub.sock is in a folder that does not exist'],
    [`unix:/tmp/${'x'.repeat(200)}`, /is longer than the path of a socket may be$/],
  ])('%s', async (address, reason) => {
    const { code, messages } = await errorsOf([...flags, '--listen', address])
    expect([code, messages.length]).toEqual([1, 1])
    if (reason instanceof RegExp) expect(messages[0]).toMatch(reason)
    else expect(messages[0]).toBe(`listen: ${reason}`)
  })

  test('keys that cannot be used are one line each', async () => {
    const role = { key: 'short', algorithm: 'HS256' }
    const issuers = JSON.stringify([{ id: 'a', publisher: role, subscriber: role }])
    const more = ['--issuers', issuers, '--hub-resource-identifier', 'urn:example:hub']
    const { messages } = await errorsOf([...flags, '--listen', '127.0.0.1:0', ...more])
    expect(messages.map((message) => message.split(': ')[0])).toEqual([
      'issuers[0].publisher.key',
      'issuers[0].subscriber.key',
    ])
  })
})

async function selfSigned() {
  const { out } = await shell(
    'D=$(mktemp -d); openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $D/k -out $D/c -days 1 -subj /CN=x 2>/dev/null; cat $D/c $D/k; rm -r $D',
  )
  return { cert: out, key: out }
}
