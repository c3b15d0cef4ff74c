import { describe, expect, test } from 'bun:test'
import manifest from '../../package.json' with { type: 'json' }
import { imageUser } from '../../scripts/release/image.ts'
import { load } from '../../src/config/load.ts'
import { startHub } from '../support/binary.ts'
import { rawRequest } from '../support/raw-request.ts'
import { RedisServer } from '../support/redis-server.ts'
import { temporaryFolder } from '../transport/sqlite/log.ts'

/** The files in `deploy/` and `packaging/`: whether they fit to each other and to the hub. */

const root = new URL('../../', import.meta.url).pathname
const read = (path: string) => Bun.file(`${root}${path}`).text()
const yaml = async (path: string): Promise<unknown> => Bun.YAML.parse(await read(path))

/** What is at a path such as `spec.ports.0.name`, or undefined. */
function at(value: unknown, path: string): unknown {
  let inner = value
  for (const name of path.split('.')) {
    inner =
      typeof inner === 'object' && inner !== null
        ? Object.entries(inner).find(([key]) => key === name)?.[1]
        : undefined
  }
  return inner
}

/** What is at the path, as a list of which each member has the names. */
function listAt(value: unknown, path: string, name: string): readonly unknown[] {
  const list = at(value, path)
  return Array.isArray(list) ? list.map((each) => at(each, name)) : []
}

/** The settings of a file, and the key files that it names. Throws with what is wrong. */
function configured(toml: string) {
  const keyFiles: string[] = []
  const loaded = load({
    argv: ['--config', 'cinnabar.toml'],
    env: {},
    readFile: (path) => {
      if (path === 'cinnabar.toml') return toml
      keyFiles.push(path)
      return 'a key that is long enough for every algorithm here\n'
    },
    devKeys: { publisher: '', subscriber: '' },
    isTerminal: false,
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return { settings: loaded.settings, keyFiles }
}

const configurations: Readonly<Record<string, string>> = {
  'packaging/cinnabar.toml': '/etc/cinnabar',
  'deploy/compose/cinnabar.toml': '/run/secrets',
  'deploy/kubernetes/cinnabar.toml': '/run/secrets/cinnabar',
}

describe.each(Object.entries(configurations))('%s', (path, keys) => {
  test('is a configuration, with its keys where they are put', async () => {
    const { settings, keyFiles } = configured(await read(path))
    expect(keyFiles).toEqual([`${keys}/publisher.key`, `${keys}/subscriber.key`])
    expect(settings.issuers).toHaveLength(1)
  })

  test('is one with everything that is commented out, too', async () => {
    const toml = (await read(path)).replaceAll(/^# (?=\w+ = )/gm, '')
    const { settings } = configured(toml)
    expect(settings.hub.publicUrls).toHaveLength(1)
    expect(settings.proxy.trusted).not.toEqual([])
  })
})

test('the hub of the package keeps its history where the unit lets it write', async () => {
  const unit = await read('packaging/cinnabar.service')
  const { settings } = configured(await read('packaging/cinnabar.toml'))
  expect(unit).toMatch(/^StateDirectory=cinnabar$/m)
  expect(settings.sqlite.path).toBe('/var/lib/cinnabar/cinnabar.db')
  const [, seconds = ''] = /^TimeoutStopSec=(\d+)s$/m.exec(unit) ?? []
  expect(Number(seconds) * 1000).toBeGreaterThan(settings.shutdown.drain)
})

describe('compose', () => {
  test('runs the image of this version with the file and the keys that are beside it', async () => {
    const compose = await yaml('deploy/compose/compose.yaml')
    const hub = at(compose, 'services.hub')
    const { settings } = configured(await read('deploy/compose/cinnabar.toml'))
    expect(at(hub, 'image')).toBe(`cinnabar:${manifest.version}`)
    expect(at(hub, 'environment.CINNABAR_CONFIG')).toBe('/etc/cinnabar/cinnabar.toml')
    expect(at(hub, 'volumes')).toEqual(['history:/data', './cinnabar.toml:/etc/cinnabar/cinnabar.toml:ro'])
    expect(at(hub, 'secrets')).toEqual(['publisher.key', 'subscriber.key'])
    expect(at(compose, 'secrets')).toEqual({
      'publisher.key': { file: './publisher.key' },
      'subscriber.key': { file: './subscriber.key' },
    })
    expect(settings.listen).toEqual([{ kind: 'tcp', host: '0.0.0.0', port: 3000 }])
    expect(at(hub, 'ports')).toEqual(['127.0.0.1:3000:3000'])
  })

  test('trusts the network that Caddy is in', async () => {
    const subnet = at(await yaml('deploy/compose/compose.https.yaml'), 'networks.inside.ipam.config.0.subnet')
    expect(await read('deploy/compose/cinnabar.toml')).toContain(`# trusted = ["${subnet}"]`)
    const own = await read('deploy/compose/Caddyfile')
    const tried = await read('deploy/caddy/Caddyfile')
    const rule = (text: string) =>
      text.slice(text.indexOf('\nhub.example.com')).replace(/reverse_proxy \S+/, '')
    expect(rule(own)).toBe(rule(tried))
  })
})

describe('kubernetes', async () => {
  const folder = 'deploy/kubernetes'
  const set = await yaml(`${folder}/hub.yaml`)
  const pod = at(set, 'spec.template.spec')
  const hub = at(pod, 'containers.0')
  const kustomization = await yaml(`${folder}/kustomization.yaml`)
  const { settings, keyFiles } = configured(await read(`${folder}/cinnabar.toml`))

  test('every resource is there', async () => {
    expect(at(kustomization, 'resources')).toEqual([
      'hub.yaml',
      'service.yaml',
      'network-policy.yaml',
      'ingress.yaml',
    ])
    for (const name of ['hub', 'service', 'network-policy', 'ingress']) {
      for (const resource of [await yaml(`${folder}/${name}.yaml`)].flat()) {
        expect(at(resource, 'metadata.name')).toStartWith('cinnabar')
        expect(at(resource, 'kind')).toBeString()
      }
    }
  })

  test('the image is that of this version, as its user, with a read-only root', () => {
    expect(at(kustomization, 'images.0')).toMatchObject({ name: at(hub, 'image'), newTag: manifest.version })
    expect(at(pod, 'securityContext')).toMatchObject({
      runAsUser: imageUser,
      fsGroup: imageUser,
      runAsNonRoot: true,
    })
    expect(at(hub, 'securityContext')).toMatchObject({ readOnlyRootFilesystem: true })
  })

  test('what is mounted is defined, and is where the configuration looks for it', () => {
    const mounts = listAt(hub, 'volumeMounts', 'name')
    const defined = [
      ...listAt(pod, 'volumes', 'name'),
      ...listAt(set, 'spec.volumeClaimTemplates', 'metadata').map((each) => at(each, 'name')),
    ]
    expect(new Set(mounts)).toEqual(new Set(defined))
    expect(listAt(hub, 'volumeMounts', 'mountPath')).toContain('/run/secrets/cinnabar')
    expect(at(pod, 'volumes.0.configMap.name')).toBe(at(kustomization, 'configMapGenerator.0.name'))
    expect(at(pod, 'volumes.1.secret.secretName')).toBe(at(kustomization, 'secretGenerator.0.name'))
    const names = keyFiles.map((path) => path.replace('/run/secrets/cinnabar/', ''))
    expect(at(kustomization, 'secretGenerator.0.files')).toEqual(names)
  })

  test('ports are those of the configuration; there is time to drain, and memory to shed load in', async () => {
    expect(listAt(hub, 'ports', 'containerPort')).toEqual([3000, 3001])
    expect(settings.listen).toMatchObject([{ port: 3000 }])
    expect(settings.admin.listen).toMatchObject({ port: 3001 })
    const targets = [await yaml(`${folder}/service.yaml`)]
      .flat()
      .map((each) => at(each, 'spec.ports.0.targetPort'))
    expect<unknown>(targets).toEqual(listAt(hub, 'ports', 'name'))
    expect(Number(at(pod, 'terminationGracePeriodSeconds')) * 1000).toBeGreaterThan(settings.shutdown.drain)
    expect(at(hub, 'resources.limits.memory')).toBe('512Mi')
    expect(settings.limits.memory).toBeLessThan(512 * 1024 ** 2)
  })

  test('probes are answered whatever they call the hub', async () => {
    await using running = await startHub({ flags: ['--hub-public-urls', 'https://hub.example.com'] })
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      const target = String(at(hub, `${probe}.httpGet.path`))
      const fields = [['Host', '10.1.2.3:3000']] as const
      expect((await rawRequest(running.origin, { target, fields })).status).toBe(200)
    }
  })
})

test('Traefik leads to a service that is there, through a middleware that is there', async () => {
  const http = at(await yaml('deploy/traefik/dynamic.yml'), 'http')
  const service = at(http, 'routers.cinnabar.service')
  expect(at(http, `services.${service}.loadBalancer.servers`)).toEqual([{ url: 'http://127.0.0.1:3000' }])
  const middleware = at(http, 'routers.cinnabar.middlewares.0')
  expect(at(http, `middlewares.${middleware}.retry.attempts`)).toBe(60)
})

describe('several hubs on one log', async () => {
  const folder = 'deploy/cluster'
  const compose = await yaml(`${folder}/compose.yaml`)

  test.each([
    [`${folder}/cinnabar.toml`, '/run/secrets'],
    [`${folder}/kubernetes/cinnabar.toml`, '/run/secrets/cinnabar'],
  ])('%s is a configuration, with its keys where they are put', async (path, keys) => {
    const { settings, keyFiles } = configured(await read(path))
    expect(keyFiles.toSorted()).toEqual(
      ['publisher.key', 'redis.password', 'subscriber.key'].map((name) => `${keys}/${name}`),
    )
    expect(settings.transport).toBe('redis')
    expect(settings.proxy.trusted).not.toEqual([])
  })

  test('the hubs of compose are alike, know their server, and are those of nginx', async () => {
    const { settings } = configured(await read(`${folder}/cinnabar.toml`))
    const [one, other] = [at(compose, 'services.hub-1'), at(compose, 'services.hub-2')]
    expect(one).toEqual(other)
    expect(at(one, 'image')).toBe(`cinnabar:${manifest.version}`)
    expect(at(one, 'secrets')).toEqual(['publisher.key', 'subscriber.key', 'redis.password'])
    expect(settings.redis.url).toBe('redis://valkey:6379')
    expect(at(compose, 'services.valkey')).toBeObject()
    const servers = [...(await read(`${folder}/nginx.conf`)).matchAll(/^ {2}server (\S+) max_fails/gm)]
    expect(servers.map(([, server]) => server)).toEqual(['hub-1:3000', 'hub-2:3000'])
    expect(settings.listen).toEqual([{ kind: 'tcp', host: '0.0.0.0', port: 3000 }])
    expect(settings.proxy.trusted).toEqual([String(at(compose, 'networks.inside.ipam.config.0.subnet'))])
  })

  test('the server of compose lets the hubs in, and a hub warns of nothing but the plain network', async () => {
    const command = String(at(compose, 'services.valkey.command')).split(' ').slice(1)
    const rules = /^#\s+echo "(user default .*)" > users\.acl$/m.exec(
      await read(`${folder}/compose.yaml`),
    )?.[1]
    const made = temporaryFolder()
    await Bun.write(`${made.path}/users.acl`, `${rules?.replace(/\$\(.*?\)/, 'secret')}\n`)
    const args = command.map((word) => word.replace('/etc/users.acl', `${made.path}/users.acl`))
    await using server = await RedisServer.start({ args, arrange: () => [] })
    await using hub = await startHub({
      flags: ['--transport', 'redis', '--redis-url', server.url.replace('//', '//:secret@')],
    })
    expect((await rawRequest(hub.origin, { target: '/readyz' })).status).toBe(200)
    expect(hub.log()).not.toContain('the server of the history should be another')
    made.remove()
  })

  test('on Kubernetes, what is mounted is defined, and there is time to drain', async () => {
    const documents = [await yaml(`${folder}/kubernetes/hub.yaml`)].flat()
    const pod = at(documents[0], 'spec.template.spec')
    const kustomization = await yaml(`${folder}/kubernetes/kustomization.yaml`)
    const { settings } = configured(await read(`${folder}/kubernetes/cinnabar.toml`))
    expect(listAt(pod, 'containers.0.volumeMounts', 'name')).toEqual(listAt(pod, 'volumes', 'name'))
    expect(at(pod, 'volumes.1.secret.secretName')).toBe(at(kustomization, 'secretGenerator.0.name'))
    expect(at(kustomization, 'images.0')).toMatchObject({ name: 'cinnabar', newTag: manifest.version })
    expect(Number(at(pod, 'terminationGracePeriodSeconds')) * 1000).toBeGreaterThan(settings.shutdown.drain)
    expect(at(pod, 'securityContext.runAsUser')).toBe(imageUser)
    expect(settings.limits.memory).toBeLessThan(512 * 1024 ** 2)
    expect(Number(at(pod, 'containers.0.readinessProbe.timeoutSeconds')) * 1000).toBeGreaterThan(
      settings.redis.timeout,
    )
  })
})
