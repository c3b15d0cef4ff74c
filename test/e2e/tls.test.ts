import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import {
  type CertificateFiles,
  makeCertificate,
  shownFingerprint,
  temporaryFolder,
} from '../support/certificates.ts'
import { CurlStream } from '../support/curl.ts'
import { publisherToken } from '../support/publisher.ts'
import { refusedHub } from '../support/refused-hub.ts'

/** HTTPS, and certificates that change under open streams. */

const common = ['--hub-anonymous', '--transport', 'memory']
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let files: CertificateFiles
let other: CertificateFiles
let hub: RunningHub | null = null
beforeAll(async () => {
  folder = await temporaryFolder()
  other = await makeCertificate(folder.path, 'other')
})
afterEach(async () => {
  await hub?.dispose()
  hub = null
})
afterAll(() => folder.dispose())

async function startSecure(...flags: string[]): Promise<RunningHub> {
  files = await makeCertificate(folder.path)
  hub = await startHub({ flags: [...common, ...files.flags, ...flags] })
  return hub
}

async function publish(url: string, topic: string): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    body: new URLSearchParams({ topic }),
    headers: { authorization: `Bearer ${await publisherToken()}` },
    tls: { rejectUnauthorized: false },
  })
  expect(response.status).toBe(200)
  return await response.text()
}

describe('TLS', () => {
  for (const version of ['--http1.1', '--http2']) {
    test(`GEN-14 a stream and its updates travel over TLS with ${version}`, async () => {
      const { url, origin } = await startSecure()
      expect(origin).toStartWith('https://')
      const reader = new CurlStream([version, `${url}?match=a`])
      await until('the head', () => reader.head !== '')
      expect(reader.head).toStartWith(version === '--http2' ? 'HTTP/2 200' : 'HTTP/1.1 200')
      const ids = [await publish(url, 'a'), await publish(url, 'a')]
      await until('both', () => reader.events.length === 2)
      expect(reader.ids).toEqual(ids)
      reader.close()
    })
  }

  test('S17 no suite without forward secrecy or authenticated encryption is offered, nor an old version', async () => {
    const key = join(folder.path, 'rsa.key')
    const cert = join(folder.path, 'rsa.crt')
    const made = Bun.spawn(
      [
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-subj',
        '/CN=localhost',
        '-keyout',
        key,
        '-out',
        cert,
      ],
      { stdio: ['ignore', 'ignore', 'ignore'] },
    )
    expect(await made.exited).toBe(0)
    await using own = await startHub({ flags: [...common, '--tls-cert-file', cert, '--tls-key-file', key] })
    // Even a client that would take anything.
    const agreed = async (...offer: readonly string[]) => {
      const child = Bun.spawn(['openssl', 's_client', '-connect', new URL(own.origin).host, ...offer], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      return /Cipher is (\S+)/.exec(await new Response(child.stdout).text())?.[1] ?? '(NONE)'
    }
    const v12 = (suite: string) => agreed('-tls1_2', '-cipher', `${suite}:@SECLEVEL=0`)
    for (const suite of [
      'ECDHE-RSA-AES128-GCM-SHA256',
      'ECDHE-RSA-AES256-GCM-SHA384',
      'ECDHE-RSA-CHACHA20-POLY1305',
    ])
      expect(await v12(suite)).toBe(suite)
    for (const suite of [
      'kRSA',
      'AES128-GCM-SHA256',
      'AES256-SHA',
      'ECDHE-RSA-AES128-SHA',
      'DHE',
      '3DES',
      'aNULL',
    ])
      expect([suite, await v12(suite)]).toEqual([suite, '(NONE)'])
    for (const version of ['-tls1', '-tls1_1'])
      expect([version, await agreed(version, '-cipher', 'ALL:@SECLEVEL=0')]).toEqual([version, '(NONE)'])
    expect(await agreed('-tls1_3')).toStartWith('TLS_')
  })

  test('HTTP/2 is not offered where it is off', async () => {
    const { url } = await startSecure('--no-http2')
    const reader = new CurlStream(['--http2', `${url}?match=a`])
    await until('the head', () => reader.head !== '')
    expect(reader.head).toStartWith('HTTP/1.1 200')
    reader.close()
  })

  test('a second hub on the port is refused, with TLS as without', async () => {
    const { origin } = await startSecure()
    const listen = ['--listen', new URL(origin).host]
    for (const flags of [files.flags, []]) {
      const { code, message } = await refusedHub([...listen, ...flags])
      expect(code).toBe(1)
      expect(message).toContain(new URL(origin).port)
    }
  })
})

describe('certificates that cannot be used', () => {
  const refusals = async (cert: string, key: string) =>
    await refusedHub(['--listen', '127.0.0.1:0', '--tls-cert-file', cert, '--tls-key-file', key])

  test('a file that is not there is named', async () => {
    const missing = join(folder.path, 'missing.crt')
    const { code, message } = await refusals(missing, other.keyFile)
    expect(code).toBe(1)
    expect(message).toBe(`tls.cert_file: ${missing} cannot be read (ENOENT)\n`)
  })

  test('a key of another certificate is refused', async () => {
    files = await makeCertificate(folder.path)
    const { code, message } = await refusals(files.certFile, other.keyFile)
    expect(code).toBe(1)
    expect(message).toBe(
      `tls.key_file: ${other.keyFile} is not the key of the certificate in ${files.certFile}\n`,
    )
  })

  test('files that hold something else are refused without showing it', async () => {
    const empty = join(folder.path, 'empty')
    const secret = join(folder.path, 'secret')
    await writeFile(empty, '')
    await writeFile(secret, 'not-for-the-log')
    for (const [cert, key, setting] of [
      [empty, other.keyFile, 'tls.cert_file'],
      [secret, other.keyFile, 'tls.cert_file'],
      [other.certFile, empty, 'tls.key_file'],
      [other.certFile, secret, 'tls.key_file'],
    ] as const) {
      const { code, message } = await refusals(cert, key)
      expect(code).toBe(1)
      expect(message).toContain(`${setting}: ${cert === other.certFile ? key : cert} holds no`)
      expect(message).not.toContain('not-for-the-log')
    }
  })
})

describe('a new certificate', () => {
  // A handshake that is under way while the listeners change hands is reset; clients try again.
  const hasChanged = async (origin: string, before: string) =>
    (await shownFingerprint(origin).catch(() => before)) !== before

  test('is shown to new connections soon after the files changed, and the open streams live on', async () => {
    const { url, origin } = await startSecure()
    const readers = ['--http1.1', '--http2'].map((version) => new CurlStream([version, `${url}?match=a`]))
    await until('the heads', () => readers.every(({ head }) => head !== ''))
    const ids: string[] = []
    for (let round = 0; round < 2; round++) {
      const before = await shownFingerprint(origin)
      await makeCertificate(folder.path)
      await until('the new one', () => hasChanged(origin, before))
      ids.push(await publish(url, 'a'))
    }
    await until('every update', () => readers.every(({ events }) => events.length === ids.length))
    expect(readers.map((reader) => reader.ids)).toEqual([ids, ids])
    expect(await hub?.stop()).toBe(0)
    // The streams of earlier certificates are drained as well.
    expect(await Promise.all(readers.map(({ ended }) => ended))).toEqual([0, 0])
  })

  test('is taken at once at SIGHUP', async () => {
    const { origin, pid, log } = await startSecure()
    const before = await shownFingerprint(origin)
    await makeCertificate(folder.path)
    process.kill(pid, 'SIGHUP')
    await until('the reload', () => log().includes('"message":"configuration reloaded"'))
    expect(await shownFingerprint(origin)).not.toBe(before)
    expect(log()).toContain('"message":"certificate renewed"')
  })

  test('that does not fit its key is refused, and the one before stays in use', async () => {
    const { origin, log } = await startSecure()
    const before = await shownFingerprint(origin)
    await copyFile(other.certFile, files.certFile)
    await until('the refusal', () => log().includes('"message":"certificate refused"'))
    expect(await shownFingerprint(origin)).toBe(before)
    await copyFile(other.keyFile, files.keyFile)
    await until('the pair', () => hasChanged(origin, before))
  })
})
