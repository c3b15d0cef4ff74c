import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { binaryPath, until } from '../support/binary.ts'
import { chromiumPath, launchBrowser } from '../support/browser.ts'
import { makeCertificate, temporaryFolder } from '../support/certificates.ts'
import { freePort, isListening } from '../support/ports.ts'

/** The lines of README's "Running it for real", word for word but for the places of the machine. */

const nginx = '/usr/sbin/nginx'
const root = new URL('../../', import.meta.url).pathname
const readme = await Bun.file(join(root, 'README.md')).text()
const section = /^## Running it for real\n(.*?)^## /ms.exec(readme)?.[1] ?? ''
const blocks = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => {
  return { language, text }
})

// The one reason to skip: a program that the section names is not on this machine. scripts/test.sh installs them.
const isPossible = existsSync(nginx) && existsSync(chromiumPath)

describe.skipIf(!isPossible)('the production configuration of README', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let hubPort: number
  let httpsPort: number
  let browser: Browser
  const children: Bun.Subprocess[] = []

  beforeAll(async () => {
    folder = await temporaryFolder()
    hubPort = freePort()
    httpsPort = freePort()
    for (const place of ['bin', 'etc/cinnabar', 'etc/ssl', 'etc/nginx/conf.d', 'var/lib/cinnabar'])
      await mkdir(join(folder.path, place), { recursive: true })
    await mkdir(join(folder.path, 'checkout'))
    await symlink(join(root, 'dist'), join(folder.path, 'checkout/dist'))
    const subjects = ['hub', 'www'].map((name) => `DNS:${name}.example.com`)
    const { certFile, keyFile } = await makeCertificate(folder.path, 'self-signed', subjects)
    await symlink(certFile, join(folder.path, 'etc/ssl/hub.example.com.crt'))
    await symlink(keyFile, join(folder.path, 'etc/ssl/hub.example.com.key'))
    // What name service and an authority would do.
    await writeFile(
      join(folder.path, '.curlrc'),
      `connect-to = hub.example.com:443:127.0.0.1:${httpsPort}\ncacert = ${certFile}\nsilent\nfail-with-body\n`,
    )
  })
  afterAll(async () => {
    await browser?.close()
    for (const child of children) child.kill('SIGTERM')
    for (const child of children) await child.exited
    await folder.dispose()
  })

  /** The text of a block, at the places of this test. */
  function placed(text: string): string {
    let moved = text
    for (const [place, here] of [
      ['/usr/local/bin/', `${folder.path}/bin/`],
      ['/etc/', `${folder.path}/etc/`],
      ['/var/lib/', `${folder.path}/var/lib/`],
      ['127.0.0.1:3000', `127.0.0.1:${hubPort}`],
      ['listen 443 ', `listen 127.0.0.1:${httpsPort} `],
    ] as const)
      moved = moved.replaceAll(place, here)
    return moved
  }

  const env = () => ({
    PATH: `${folder.path}/bin:${process.env['PATH']}`,
    CURL_HOME: folder.path,
    // The place where every command looks, and a port that other tests have.
    CINNABAR_CONFIG: configFile(),
    CINNABAR_ADMIN_LISTEN: '',
  })

  /** Runs lines as a shell does, and stops at the first that fails. */
  async function run(script: string): Promise<string> {
    const child = Bun.spawn(['sh', '-euc', script], {
      cwd: join(folder.path, 'checkout'),
      env: env(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [output, errors, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    // How many descriptors a process may have is for the machine to say.
    expect([code, errors.replace(/^warning: limits\.subscribers: .*\n/m, '')]).toEqual([0, ''])
    return output
  }

  const [install, start, proxy, publishing, reading] = blocks
  const configFile = () => join(folder.path, 'etc/cinnabar/cinnabar.toml')

  test('H2 has the blocks in the order in which they are followed', () => {
    expect(blocks.map(({ language }) => language)).toEqual(['sh', 'sh', 'nginx', 'sh', 'js'])
    expect(proxy?.text).toStartWith('# /etc/nginx/conf.d/hub.conf\n')
  })

  test('H2 puts the executable in place, and makes a configuration and keys that nobody else reads', async () => {
    await run(placed(install?.text ?? ''))
    for (const name of ['publisher.key', 'subscriber.key']) {
      const file = Bun.file(join(folder.path, 'etc/cinnabar', name))
      expect(await file.text()).toMatch(/^[\w-]{43,}\n$/)
      expect(((await file.stat()).mode & 0o777).toString(8)).toBe('600')
    }
    expect(binaryPath()).toContain(root)
    expect(await run('command -v cinnabar')).toStartWith(folder.path)
  })

  test('H2 is valid, without a warning', async () => {
    const [check = ''] = (start?.text ?? '').split('\n')
    expect(check).toMatch(/^cinnabar check\b/)
    expect(await run(placed(check))).toStartWith('The configuration is valid.\n')
  })

  test('H2 serves behind nginx, where it takes a token and publishes', async () => {
    const [, serve = ''] = (start?.text ?? '').split('\n')
    expect(serve).toMatch(/^cinnabar serve\b/)
    const hub = Bun.spawn(['sh', '-c', `exec ${placed(serve)}`], {
      env: env(),
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    children.push(hub)
    let log = ''
    void (async () => {
      for await (const chunk of hub.stderr) log += new TextDecoder().decode(chunk)
    })()
    await until('the hub', () => log.includes('"message":"listening"'))
    await startNginx()
    const id = (await run(placed(publishing?.text ?? ''))).trim().split('\n').at(-1)
    expect(id).toMatch(/^urn:uuid:/)
    const lines = log.split('\n').filter((line) => line !== '' && !line.includes('limits.subscribers'))
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ level: 'info' })
  })

  test('H2 brings an update to a page of the site, in a browser, over https', async () => {
    browser = await launchBrowser([
      `--host-resolver-rules=MAP hub.example.com:443 127.0.0.1:${httpsPort},MAP www.example.com:443 127.0.0.1:${httpsPort}`,
    ])
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const subscribe = 'cinnabar token --subscribe https://example.com/books/1'
    const cookie = { domain: '.example.com', path: '/.well-known/mercure', secure: true, httpOnly: true }
    await context.addCookies([
      {
        name: '__Secure-mercure_access_token',
        value: (await run(subscribe)).trim(),
        sameSite: 'Strict',
        ...cookie,
      },
    ])
    const page = await context.newPage()
    const printed: string[] = []
    page.on('console', (message) => printed.push(message.text()))
    await page.goto('https://www.example.com/')
    await subscribed(page, reading?.text ?? '')
    await run(placed(publishing?.text ?? '').replace('data=hello', 'data=hello -d private=on'))
    await until('the update', () => printed.includes('hello'))
  }, 60_000)

  test('H2 without the trusted proxy is warned of, and its log says what is missing', async () => {
    const file = join(folder.path, 'untrusted.toml')
    await writeFile(
      file,
      (await Bun.file(configFile()).text()).replace('trusted = ["127.0.0.1"]', 'trusted = []'),
    )
    const child = Bun.spawn(['cinnabar', 'check', '--config', file], {
      env: env(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    expect(await child.exited).toBe(0)
    expect(await new Response(child.stderr).text()).toContain('https://hub.example.com will be answered 421')
  })

  /** The page's script, and a word from its stream that it is open. */
  async function subscribed(page: Page, script: string): Promise<void> {
    const asked = page.waitForResponse((response) => response.url().startsWith('https://hub.example.com/'))
    await page.evaluate(script)
    expect((await asked).status()).toBe(200)
  }

  /** Debian's nginx with the block of README, and a page for the site beside it. */
  async function startNginx(): Promise<void> {
    const at = (name: string) => join(folder.path, 'etc/nginx', name)
    const tls = `ssl_certificate ${folder.path}/etc/ssl/hub.example.com.crt;\nssl_certificate_key ${folder.path}/etc/ssl/hub.example.com.key;`
    await writeFile(at('conf.d/hub.conf'), placed(proxy?.text ?? ''))
    await writeFile(
      at('conf.d/www.conf'),
      `server { listen 127.0.0.1:${httpsPort} ssl http2; server_name www.example.com; ${tls}
        location / { default_type text/html; return 200 '<!doctype html><title>site</title>'; } }`,
    )
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${at(name)};`,
    )
    await writeFile(
      at('nginx.conf'),
      `pid ${at('pid')}; error_log ${at('error.log')}; events {}
      http { access_log off; ${paths.join(' ')} include ${at('conf.d')}/*.conf; }`,
    )
    // Its workers run as another user where it is started by root.
    await chmod(folder.path, 0o755)
    const child = Bun.spawn([nginx, '-c', at('nginx.conf'), '-g', 'daemon off;'], {
      stdio: ['ignore', 'ignore', 'ignore'],
    })
    children.push(child)
    await until('nginx', () => isListening(httpsPort))
  }
})
