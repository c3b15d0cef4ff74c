import { join } from 'node:path'
import type { CertificateFiles } from './certificates.ts'
import { isListening } from './ports.ts'

/** Proxies that people put in front of a hub, with the configuration in `deploy/`; only addresses and paths differ. */

/** The proxies that can be run here, by the names of their programs. */
export const gateways = ['nginx', 'caddy', 'haproxy'] as const

export type GatewayName = (typeof gateways)[number]

export interface Gateway {
  /** `https://localhost:PORT` */
  readonly origin: string
  dispose(): Promise<void>
}

/** Where the gateway listens, what it leads to, and a folder for its files. */
export interface GatewayPlace {
  /** See `freePort`: the hub has to know it before the gateway is started. */
  readonly port: number
  /** The hub as `host:port`. */
  readonly hub: string
  readonly certificate: CertificateFiles
  readonly folder: string
}

/** The program of a gateway, or null. Programs of the system are not on everybody's path. */
export function gatewayProgram(name: GatewayName): string | null {
  return Bun.which(name, { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` })
}

/** Starts one. Resolves when it accepts connections, and rejects with what it says when it ends instead. */
export async function startGateway(name: GatewayName, place: GatewayPlace): Promise<Gateway> {
  return await run(name, await prepare[name](place), place.port, place.folder)
}

async function run(
  name: GatewayName,
  command: readonly string[],
  port: number,
  folder: string,
): Promise<Gateway> {
  const child = Bun.spawn([gatewayProgram(name) ?? name, ...command], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  while (!(await isListening(port))) {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${(await said).join('\n')}`)
    await Bun.sleep(20)
  }
  const dispose = async () => {
    child.kill('SIGTERM')
    await child.exited
  }
  return { origin: `https://localhost:${port}`, dispose }
}

/** nginx before several hubs, as `deploy/cluster` has it. */
export async function startClusterNginx(place: {
  readonly port: number
  /** Each as `host:port`. */
  readonly hubs: readonly string[]
  readonly folder: string
}): Promise<Gateway> {
  const { port, hubs, folder } = place
  const line = (hub: string) => `  server ${hub} max_fails=1 fail_timeout=2s;\n`
  const site = await adapted('cluster/nginx.conf', [
    ['listen 80;', `listen 127.0.0.1:${port};`],
    ['hub.example.com;', 'localhost;'],
    [line('hub-1:3000'), hubs.map(line).join('')],
    [line('hub-2:3000'), ''],
    ['proxy_set_header Host $host;', 'proxy_set_header Host $http_host;'],
  ])
  const command = await writeNginx(site, folder)
  const gateway = await run('nginx', command, port, folder)
  return { ...gateway, origin: `http://localhost:${port}` }
}

const prepare: Readonly<Record<GatewayName, (place: GatewayPlace) => Promise<readonly string[]>>> = {
  async nginx({ port, hub, certificate, folder }) {
    const site = await adapted('nginx/cinnabar.conf', [
      ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
      ['listen [::]:443 ssl http2;', ''],
      ['hub.example.com;', 'localhost;'],
      ['/etc/ssl/hub.example.com.crt', certificate.certFile],
      ['/etc/ssl/hub.example.com.key', certificate.keyFile],
      ['server 127.0.0.1:3000 ', `server ${hub} `],
      ['proxy_set_header Host $host;', 'proxy_set_header Host $http_host;'],
    ])
    return await writeNginx(site, folder)
  },

  async caddy({ port, hub, certificate, folder }) {
    const site = await adapted('caddy/Caddyfile', [
      [
        '\nhub.example.com {',
        `\nhttps://localhost:${port} {
	bind 127.0.0.1
	tls ${certificate.certFile} ${certificate.keyFile}`,
      ],
      ['reverse_proxy 127.0.0.1:3000 ', `reverse_proxy ${hub} `],
    ])
    await Bun.write(join(folder, 'Caddyfile'), `{\n\tadmin off\n\tauto_https off\n}\n${site}`)
    return ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')]
  },

  async haproxy({ port, hub, certificate, folder }) {
    const pem = join(folder, 'hub.pem')
    const parts = [certificate.certFile, certificate.keyFile].map((path) => Bun.file(path).text())
    await Bun.write(pem, (await Promise.all(parts)).join(''))
    const site = await adapted('haproxy/haproxy.cfg', [
      ['bind :443 ', `bind 127.0.0.1:${port} `],
      ['/etc/haproxy/hub.example.com.pem', pem],
      ['server hub 127.0.0.1:3000', `server hub ${hub}`],
    ])
    await Bun.write(join(folder, 'haproxy.cfg'), `global\n  maxconn 1000\n\n${site}`)
    return ['-db', '-f', join(folder, 'haproxy.cfg')]
  },
}

/** Writes the files of nginx for this site, and answers with its arguments. */
async function writeNginx(site: string, folder: string): Promise<readonly string[]> {
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  )
  await Bun.write(join(folder, 'site.conf'), site)
  await Bun.write(
    join(folder, 'nginx.conf'),
    `daemon off; user root; pid ${folder}/pid; error_log stderr; worker_rlimit_nofile 30000;
events { worker_connections 25000; }
http { access_log off; ${folders.join(' ')} include ${folder}/site.conf; }
`,
  )
  return ['-e', 'stderr', '-c', join(folder, 'nginx.conf')]
}

async function adapted(
  name: string,
  changes: readonly (readonly [from: string, to: string])[],
): Promise<string> {
  let text = await Bun.file(new URL(`../../deploy/${name}`, import.meta.url)).text()
  for (const [from, to] of changes) {
    if (text.split(from).length !== 2) throw new Error(`deploy/${name} does not say once: ${from}`)
    text = text.replace(from, () => to)
  }
  return text
}
