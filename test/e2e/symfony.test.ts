import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser } from 'playwright-core'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { launchBrowser } from '../support/browser.ts'
import { StreamClient } from '../support/stream-client.ts'
import { forge, secretOf, tokenFor } from '../support/tokens.ts'

/**
 * symfony/mercure of Debian, unchanged, as Symfony, API Platform and Laravel use it, and the pages that it makes: its
 * publications, its cookie, its Twig function, and the streams of Symfony UX Turbo.
 */

const book = 'https://example.com/books/1'
const selector = 'https://example.com/books/{id}'
const turboTopic = 'https://symfony.com/ux-turbo/App%5CEntity%5CBook/1'
const turboTemplate = 'https://symfony.com/ux-turbo/App%5CEntity%5CBook/{id}'

/** A token of 0.x with these rights. */
const oldToken = (role: 'publisher' | 'subscriber', rights: readonly string[]) =>
  forge(
    { alg: 'HS256', typ: 'JWT' },
    { mercure: { publish: rights, subscribe: rights } },
    secretOf(`issuer-a/${role}`),
  )

const generations = [
  {
    name: '0.x',
    flags: ['--hub-legacy', '8', '--hub-legacy-issuer', 'https://a.example'],
    publisher: async () => oldToken('publisher', ['*']),
    subscriber: async () => oldToken('subscriber', [selector, turboTemplate]),
    query: `topic=${encodeURIComponent(selector)}`,
  },
  {
    name: '1.0',
    // The one cookie that this version of the library knows.
    flags: ['--hub-cookie-name', 'mercureAuthorization'],
    publisher: () => tokenFor({ publish: ['*'] }),
    subscriber: () => tokenFor({ subscribe: [book, turboTopic] }),
    query: `match=${encodeURIComponent(book)}`,
  },
]

let browser: Browser
let site: ReturnType<typeof Bun.serve>
beforeAll(async () => {
  browser = await launchBrowser()
  site = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } }),
  })
})
afterAll(async () => {
  await browser.close()
  await site.stop(true)
})

/** Runs PHP with the library and these arguments, and answers with what it prints. */
async function php(script: string, ...args: readonly string[]): Promise<string> {
  const libraries = ['Mercure', 'HttpClient', 'HttpFoundation'].map(
    (name) => `require '/usr/share/php/Symfony/Component/${name}/autoload.php';`,
  )
  const uses = `
    use Symfony\\Component\\HttpFoundation\\{Request, RequestStack};
    use Symfony\\Component\\Mercure\\{Authorization, Hub, HubRegistry, Update};
    use Symfony\\Component\\Mercure\\Jwt\\{StaticTokenProvider, TokenFactoryInterface};
    use Symfony\\Component\\Mercure\\Twig\\MercureExtension;`
  const program = `<?php ${uses}\nrequire '/usr/share/php/Twig/autoload.php';${libraries.join('\n')}\n${script}`
  const child = Bun.spawn(['php', '-d', 'error_reporting=E_ALL & ~E_DEPRECATED', '--', ...args], {
    stdio: [new Blob([program]), 'pipe', 'pipe'],
    timeout: 20_000,
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect([await child.exited, err]).toEqual([0, ''])
  return out
}

for (const { name, flags, publisher, subscriber, query } of generations) {
  describe(`symfony/mercure with tokens of ${name}`, () => {
    let hub: RunningHub
    beforeAll(async () => {
      hub = await startHub({
        flags: [...flags, '--transport', 'memory', '--hub-cors-origins', site.url.origin, '--hub-anonymous'],
      })
    })
    afterAll(() => hub.dispose())

    test('LEG-24 publishes with every field, to several topics, and reads the id', async () => {
      const reader = await StreamClient.open(`${hub.url}?${query}`, {
        Authorization: `Bearer ${await subscriber()}`,
      })
      const stranger = await StreamClient.open(`${hub.url}?${query}`)
      const ids = await php(
        `[, $url, $token, $topic] = $argv;
        $hub = new Hub($url, new StaticTokenProvider($token));
        $other = 'https://example.com/others/1';
        echo $hub->publish(new Update([$topic, $other], "line 1\\nline 2", true, 'urn:php:1', 'greeting', 1500)), ' ';
        echo $hub->publish(new Update([$other, $topic], '{"public": "größe"}')), ' ';
        echo $hub->publish(new Update($topic, '', true));`,
        ...[hub.url, await publisher(), book],
      )
      const published = ids.split(' ')
      await until('the updates', () => reader.ids.length === published.length)
      expect(reader.ids).toEqual(published)
      expect(reader.events).toMatchObject([
        { id: 'urn:php:1', type: 'greeting', data: 'line 1\nline 2', retry: 1500 },
        { data: '{"public": "größe"}' },
        { data: '' },
      ])
      await until('the public update', () => stranger.ids.length === 1)
      expect(stranger.ids).toEqual(published.slice(1, 2))
      reader.close()
      stranger.close()
    })

    test('says why a publication is refused', async () => {
      const said = await php(
        `[, $url, $token, $topic] = $argv;
        try { (new Hub($url, new StaticTokenProvider($token)))->publish(new Update($topic, 'x')); echo 'published'; }
        catch (\\Exception $e) { echo $e->getPrevious()->getResponse()->getStatusCode(); }`,
        ...[hub.url, await subscriber(), book],
      )
      expect(said).toMatch(/^40[13]$/)
    })

    test('LEG-15 LEG-17 LEG-25 its Twig function makes a URL and a cookie with which a browser reads on', async () => {
      const past = await php(
        `[, $url, $token, $topic] = $argv;
        $hub = new Hub($url, new StaticTokenProvider($token));
        echo $hub->publish(new Update($topic, 'seen', true)), ' ', $hub->publish(new Update($topic, 'missed', true));`,
        ...[hub.url, await publisher(), book],
      )
      const [seen = '', missed = ''] = past.split(' ')
      // The factory stands for the one of an application, which signs tokens of its generation.
      const made = await php(
        `[, $url, $token, $selector, $seen] = $argv;
        final class Fixed implements TokenFactoryInterface {
          public function __construct(private string $token) {}
          public function create(?array $subscribe = [], ?array $publish = [], array $additionalClaims = []): string { return $this->token; }
        }
        $registry = new HubRegistry(new Hub($url, new StaticTokenProvider($token), new Fixed($token)));
        $request = Request::create($url);
        $stack = new RequestStack();
        $stack->push($request);
        $twig = new MercureExtension($registry, new Authorization($registry), $stack);
        $page = $twig->mercure($selector, ['subscribe' => $selector, 'lastEventId' => $seen]);
        $cookie = array_values($request->attributes->get('_mercure_authorization_cookies'))[0];
        echo json_encode(['page' => $page, 'name' => $cookie->getName(), 'value' => $cookie->getValue(), 'path' => $cookie->getPath()]);`,
        ...[hub.url, await subscriber(), name === '0.x' ? selector : book, seen],
      )
      const { page: url, name: cookieName, value, path } = JSON.parse(made)
      expect([cookieName, path]).toEqual(['mercureAuthorization', '/.well-known/mercure'])
      const context = await browser.newContext()
      const cookie = {
        name: cookieName,
        value,
        domain: '127.0.0.1',
        path,
        httpOnly: true,
        sameSite: 'Strict' as const,
      }
      await context.addCookies([cookie])
      const page = await context.newPage()
      await page.goto(site.url.href)
      await page.evaluate(
        (address) => {
          const received: string[] = []
          Reflect.set(globalThis, 'received', received)
          const source = new EventSource(address, { withCredentials: true })
          source.onmessage = ({ lastEventId }) => received.push(lastEventId)
        },
        name === '0.x' ? url : url.replace('topic=', 'match=').replace('Last-Event-ID=', 'last_event_id='),
      )
      const received = (): Promise<readonly string[]> =>
        page.evaluate(() => Reflect.get(globalThis, 'received'))
      await until('the missed update', async () => (await received()).length > 0)
      expect(await received()).toEqual([missed])
      await context.close()
    })

    test('the stream of Symfony UX Turbo carries lines of HTML as they are', async () => {
      const html =
        '<turbo-stream action="replace" target="book_1">\n  <template>\n    <p>Größe</p>\n  </template>\n</turbo-stream>\n'
      const context = await browser.newContext()
      const page = await context.newPage()
      await page.goto(site.url.href)
      // The controller of the package opens an EventSource on the hub with the topic in the query, and hands it to Turbo.
      const parameter = name === '0.x' ? 'topic' : 'match'
      await page.evaluate(
        ([address, key, topic]) => {
          const url = new URL(address)
          url.searchParams.append(key, topic)
          const received: string[] = []
          Reflect.set(globalThis, 'received', received)
          const source = new EventSource(url.toString())
          source.onmessage = ({ data }) => received.push(data)
          return new Promise<void>((resolve) => source.addEventListener('open', () => resolve()))
        },
        [hub.url, parameter, name === '0.x' ? turboTemplate : turboTopic] as const,
      )
      await php(
        `[, $url, $token, $topic, $html] = $argv;
        (new Hub($url, new StaticTokenProvider($token)))->publish(new Update($topic, $html));`,
        ...[hub.url, await publisher(), turboTopic, html],
      )
      const received = (): Promise<readonly string[]> =>
        page.evaluate(() => Reflect.get(globalThis, 'received'))
      await until('the stream element', async () => (await received()).length > 0)
      expect(await received()).toEqual([html])
      await context.close()
    })
  })
}
