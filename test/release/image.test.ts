import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { chown, mkdir, mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contentsOf } from '../../scripts/release/contents.ts'
import { type Facts, root, run } from '../../scripts/release/facts.ts'
import { type Image, imageArchive, imagesArchive, makeImage } from '../../scripts/release/image.ts'
import { binaryPath, type RunningHub, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'

/** The container image, with the libraries of this machine in it: run as a container runtime runs it, without one. */

const facts: Facts = { version: '1.2.3', commit: 'c0ffee', epoch: 1_700_000_000 }
const authorities = '/usr/share/ca-certificates/mozilla'

// The reasons to skip: another user than root may not mount; the libraries are those of Debian for this architecture.
const canRun = process.getuid?.() === 0 && Bun.which('unshare') !== null
const hasBase =
  process.arch === 'x64' && existsSync(authorities) && existsSync('/usr/share/doc/libc6/copyright')

describe.skipIf(!canRun || !hasBase)('the image', () => {
  let folder: string
  let image: Image
  let hub: RunningHub
  let executable: string
  const user = 65534

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cinnabar-image-'))
    executable = join(folder, 'root/usr/bin/cinnabar')
    const base = { folder: '/', versions: new Map([['libc6', '2.36']]) }
    image = await makeImage('amd64', binaryPath(), base, await contentsOf(binaryPath(), facts), facts)
    await unpack(image, join(folder, 'root'))
    // A runtime makes the places of its mounts.
    await mkdir(join(folder, 'root/proc'))
    await mkdir(join(folder, 'data'))
    await chown(join(folder, 'data'), user, user)
    hub = await startHub({ wrapper: inside(), executable, directory: folder, flags: ['--hub-anonymous'] })
  }, 60_000)
  afterAll(() => hub.dispose())

  const inside = () => [
    ...['unshare', '--mount', 'sh', `${root}scripts/release/in-image.sh`],
    ...[join(folder, 'root'), join(folder, 'data'), String(user)],
  ]

  test('holds the executable, what it needs of glibc, and little else', async () => {
    const files = await readdir(join(folder, 'root'), { recursive: true, withFileTypes: true })
    const names = files.filter((each) => each.isFile()).map(({ parentPath, name }) => join(parentPath, name))
    expect(names.map((name) => name.replace(`${folder}/root/`, '')).sort()).toEqual([
      'etc/group',
      'etc/nsswitch.conf',
      'etc/passwd',
      'etc/ssl/certs/ca-certificates.crt',
      'lib/x86_64-linux-gnu/libc.so.6',
      'lib/x86_64-linux-gnu/libdl.so.2',
      'lib/x86_64-linux-gnu/libm.so.6',
      'lib/x86_64-linux-gnu/libpthread.so.0',
      'lib64/ld-linux-x86-64.so.2',
      'usr/bin/cinnabar',
      'usr/share/doc/ca-certificates/copyright',
      'usr/share/doc/cinnabar/LICENSE',
      'usr/share/doc/cinnabar/THIRD-PARTY-LICENCES',
      'usr/share/doc/libc6/copyright',
    ])
  })

  test('says how it is run', () => {
    const { config, rootfs } = blob(image, image.config.digest)
    expect(config).toMatchObject({
      User: '65532:65532',
      WorkingDir: '/data',
      Volumes: { '/data': {} },
      Entrypoint: ['/usr/bin/cinnabar'],
      Cmd: ['serve'],
      ExposedPorts: { '3000/tcp': {}, '3001/tcp': {} },
      Healthcheck: { Test: ['CMD', '/usr/bin/cinnabar', 'health'] },
      Labels: { 'org.opencontainers.image.version': '1.2.3', 'org.opencontainers.image.revision': 'c0ffee' },
    })
    const diffs = image.layers.map(({ digest }) => digestOf(Bun.gunzipSync(bytes(image, digest))))
    expect(rootfs).toEqual({ type: 'layers', diff_ids: diffs })
  })

  test('publishes and delivers, read-only, as a user that it does not know, with one folder to write to', async () => {
    const client = await StreamClient.open(`${hub.url}?match=https://example.com/image`)
    const id = await publish(hub.url, { topic: 'https://example.com/image', data: 'in an image' })
    await until('the update', () => client.events.length > 0)
    expect(client.events[0]).toMatchObject({ id, data: 'in an image' })
    client.close()
    expect(await readdir(join(folder, 'data'))).toContain('cinnabar.db')
  })

  test('health inside of it says ready, and fails where nobody listens', async () => {
    const command = [...inside(), executable]
    const asked = await run([...command, 'health', '--url', hub.adminUrl])
    expect(new TextDecoder().decode(asked)).toBe('ready\n')
    expect(run([...command, 'health', '--url', 'http://127.0.0.1:1'])).rejects.toThrow('does not answer')
  })

  test('it is the first process, and ends with 0 at SIGTERM', async () => {
    const inner = Number(await Bun.file(`/proc/${hub.pid}/task/${hub.pid}/children`).text())
    expect(await Bun.file(`/proc/${inner}/status`).text()).toMatch(/^NSpid:\s+\d+\s+1$/m)
    process.kill(inner, 'SIGTERM')
    // The program around it passes on how it has ended.
    expect(await hub.stop('SIGCONT')).toBe(0)
    expect(hub.log()).toContain('"message":"stopped"')
  })

  test('its archives are what they say, and the same each time', async () => {
    const names = async (archive: Uint8Array<ArrayBuffer>) => {
      const listing = Bun.spawn(['tar', '-t'], { stdin: new Blob([archive]), stdout: 'pipe' })
      return (await new Response(listing.stdout).text())
        .split('\n')
        .filter((name) => /json$|layout$/.test(name))
    }
    const one = imageArchive(image, facts)
    expect(await names(one)).toEqual(['index.json', 'manifest.json', 'oci-layout'])
    expect(digestOf(imageArchive(image, facts))).toBe(digestOf(one))
    expect(await names(imagesArchive([image], facts))).toEqual(['index.json', 'oci-layout'])
  })
})

/** Unpacks the layers one over the other, as a runtime does. */
async function unpack(image: Image, folder: string): Promise<void> {
  await mkdir(folder)
  for (const { digest } of image.layers) {
    const child = Bun.spawn(['tar', '-xz', '--numeric-owner', '-p', '-C', folder], {
      stdin: new Blob([new Uint8Array(bytes(image, digest))]),
    })
    if ((await child.exited) !== 0) throw new Error('a layer is no archive')
  }
}

function bytes({ blobs }: Image, digest: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(blobs.get(digest) ?? [])
}

function blob(image: Image, digest: string) {
  return JSON.parse(new TextDecoder().decode(bytes(image, digest)))
}

function digestOf(content: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(content).digest('hex')}`
}
