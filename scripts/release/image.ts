import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Contents, text } from './contents.ts'
import type { Unpacked } from './debian.ts'
import type { Facts } from './facts.ts'
import { type Entry, file, folder, tar } from './tar.ts'

/**
 * Container images, made of nothing but files: no daemon, and no image to start from. Inside are the executable, the
 * libraries of Debian's glibc that it needs, and the authorities that certificates are checked against.
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
 */

/** The user of the image. Its folder is `/data`. */
export const imageUser = 65532

type Architecture = 'amd64' | 'arm64'

/** An image for one architecture: its blobs by their digests. */
export interface Image {
  readonly architecture: Architecture
  readonly manifest: Descriptor
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly blobs: ReadonlyMap<string, Uint8Array>
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly platform?: { readonly architecture: Architecture; readonly os: 'linux' }
}

/** The packages of Debian that `makeImage` takes files of. */
export const basePackages: readonly string[] = ['libc6', 'ca-certificates']

/** Makes the image of an executable. `base` holds the files of `basePackages`. */
export async function makeImage(
  architecture: Architecture,
  executable: string,
  base: Unpacked,
  contents: Contents,
  facts: Facts,
): Promise<Image> {
  const glibc = base.versions.get('libc6') ?? 'unknown'
  const own = [
    file('usr/bin/cinnabar', await Bun.file(executable).bytes(), 0o755),
    file('usr/share/doc/cinnabar/LICENSE', text(contents, 'LICENSE')),
    file('usr/share/doc/cinnabar/THIRD-PARTY-LICENCES', contents.licences),
  ]
  // What changes seldom comes first, so that those who have an older version need not fetch it again.
  const layers = [await baseEntries(architecture, base), own].map((each) => makeLayer(each, facts.epoch))
  const blobs = new Map<string, Uint8Array>()
  const add = (mediaType: string, bytes: Uint8Array): Descriptor => {
    const digest = digestOf(bytes)
    blobs.set(digest, bytes)
    return { mediaType, digest, size: bytes.length }
  }
  const stored = layers.map(({ packed }) => add(`${IMAGE}.layer.v1.tar+gzip`, packed))
  const diffs = layers.map(({ digest }) => digest)
  const config = add(`${IMAGE}.config.v1+json`, json(configOf(architecture, diffs, glibc, facts)))
  const manifest = add(`${IMAGE}.manifest.v1+json`, json(manifestOf(config, stored)))
  return { architecture, manifest, config, layers: stored, blobs }
}

/** The archive of one image. It can also be loaded as those of `docker save` are. */
export function imageArchive(image: Image, facts: Facts): Uint8Array<ArrayBuffer> {
  const layers = image.layers.map(({ digest }) => placeOf(digest))
  const tags = [`cinnabar:${facts.version}`]
  const saved = [{ Config: placeOf(image.config.digest), RepoTags: tags, Layers: layers }]
  const entries = layout([described(image)], [image], facts)
  return tar([...entries, file('manifest.json', json(saved))], facts.epoch)
}

/** The archive of images for several architectures, which a registry takes as one. */
export function imagesArchive(images: readonly Image[], facts: Facts): Uint8Array<ArrayBuffer> {
  const index = json(indexOf(images.map(described)))
  const descriptor = { mediaType: `${IMAGE}.index.v1+json`, digest: digestOf(index), size: index.length }
  const entries = layout([descriptor], images, facts)
  return tar([...entries, file(placeOf(descriptor.digest), index)], facts.epoch)
}

function layout(manifests: readonly Descriptor[], images: readonly Image[], facts: Facts): readonly Entry[] {
  const name = { 'org.opencontainers.image.ref.name': facts.version }
  const index = indexOf(manifests.map((manifest) => ({ ...manifest, annotations: name })))
  const blobs = new Map(images.flatMap((image) => [...image.blobs]))
  return [
    ...[...blobs].map(([digest, bytes]) => file(placeOf(digest), bytes)),
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', json(index)),
  ]
}

function described({ architecture, manifest }: Image): Descriptor {
  return { ...manifest, platform: { architecture, os: 'linux' } }
}

function indexOf(manifests: readonly Descriptor[]) {
  return { schemaVersion: 2, mediaType: `${IMAGE}.index.v1+json`, manifests }
}

function placeOf(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`
}

const IMAGE = 'application/vnd.oci.image'

const libraries: Readonly<Record<Architecture, readonly string[]>> = {
  amd64: ['lib64/ld-linux-x86-64.so.2', ...inFolder('lib/x86_64-linux-gnu')],
  arm64: ['lib/ld-linux-aarch64.so.1', ...inFolder('lib/aarch64-linux-gnu')],
}

function inFolder(place: string): readonly string[] {
  return ['libc.so.6', 'libdl.so.2', 'libm.so.6', 'libpthread.so.0'].map((name) => `${place}/${name}`)
}

/** Everything but the executable. */
async function baseEntries(architecture: Architecture, base: Unpacked): Promise<readonly Entry[]> {
  const read = (path: string) => Bun.file(join(base.folder, path)).bytes()
  const libraryFiles = libraries[architecture].map(async (path) => file(path, await read(path), 0o755))
  const copyrights = basePackages.map(async (name) => {
    const path = `usr/share/doc/${name}/copyright`
    return file(path, await read(path))
  })
  const user = `nonroot:x:${imageUser}:${imageUser}:nonroot:/data:/sbin/nologin`
  return [
    ...(await Promise.all([...libraryFiles, ...copyrights])),
    file('etc/ssl/certs/ca-certificates.crt', await authorities(join(base.folder, certificates))),
    file('etc/passwd', `root:x:0:0:root:/:/sbin/nologin\n${user}\n`),
    file('etc/group', `root:x:0:\nnonroot:x:${imageUser}:\n`),
    file('etc/nsswitch.conf', 'hosts: files dns\n'),
    folder('data', 0o750, imageUser),
    folder('etc/cinnabar'),
    folder('tmp', 0o1777),
  ]
}

const certificates = 'usr/share/ca-certificates/mozilla'

async function authorities(place: string): Promise<string> {
  const names = (await readdir(place)).filter((name) => name.endsWith('.crt')).sort()
  const texts = await Promise.all(names.map((name) => Bun.file(join(place, name)).text()))
  return texts.map((certificate) => `${certificate.trim()}\n`).join('')
}

function makeLayer(entries: readonly Entry[], epoch: number): { packed: Uint8Array; digest: string } {
  const plain = tar(entries, epoch)
  return { packed: Bun.gzipSync(plain, { level: 6 }), digest: digestOf(plain) }
}

function configOf(architecture: Architecture, diffs: readonly string[], glibc: string, facts: Facts) {
  const created = new Date(facts.epoch * 1000).toISOString()
  const label = (name: string, value: string) => [`org.opencontainers.image.${name}`, value]
  return {
    created,
    architecture,
    os: 'linux',
    config: {
      User: `${imageUser}:${imageUser}`,
      // The history is in the working folder, and so may a `cinnabar.toml` be.
      WorkingDir: '/data',
      Volumes: { '/data': {} },
      Env: ['PATH=/usr/bin', 'HOME=/data', 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'],
      Entrypoint: ['/usr/bin/cinnabar'],
      Cmd: ['serve'],
      // Of the hub, and of the operator when `admin.listen` says so.
      ExposedPorts: { '3000/tcp': {}, '3001/tcp': {} },
      StopSignal: 'SIGTERM',
      Healthcheck: {
        Test: ['CMD', '/usr/bin/cinnabar', 'health'],
        Interval: 30 * SECOND,
        Timeout: 10 * SECOND,
        StartPeriod: 10 * SECOND,
        Retries: 3,
      },
      Labels: Object.fromEntries([
        label('title', 'cinnabar'),
        label('description', 'A Mercure hub in one executable, with a bounded past.'),
        label('version', facts.version),
        label('revision', facts.commit),
        label('created', created),
        label('licenses', 'Apache-2.0'),
        ['cinnabar.glibc', glibc],
      ]),
    },
    rootfs: { type: 'layers', diff_ids: diffs },
    history: [
      { created, created_by: `glibc ${glibc} of Debian, and certificate authorities` },
      { created, created_by: `cinnabar ${facts.version}` },
    ],
  }
}

/** The unit of a health check. */
const SECOND = 1_000_000_000

function manifestOf(config: Descriptor, layers: readonly Descriptor[]) {
  return { schemaVersion: 2, mediaType: `${IMAGE}.manifest.v1+json`, config, layers }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}`
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
