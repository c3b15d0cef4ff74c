import { hardening } from './error.ts'

/** The content of the page at the root of the hub listener. */
export interface WelcomeOptions {
  readonly hubPath: string
  /** The version that the page shows on a developer's own machine only; elsewhere null. */
  readonly version: string | null
}

/**
 * The page at `/`, for a person who follows the address of the hub: it tells which program answers and holds no data.
 * Its policy lets its own scripts, which are those of a developer's tools and of test suites, speak with the hub.
 */
export function welcome({ hubPath, version }: WelcomeOptions): Response {
  return new Response(page(hubPath, version), { headers })
}

const headers = {
  ...hardening,
  'Content-Security-Policy': "default-src 'none'; connect-src 'self'; frame-ancestors 'none'",
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-store',
}

/** The text of the page. A hub path has no character that HTML reads as its own. */
function page(hubPath: string, version: string | null): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>cinnabar</title>
<h1>cinnabar${version === null ? '' : ` ${version}`}</h1>
<p>This is a <a href="https://mercure.rocks">Mercure</a> hub. It answers at <code>${hubPath}</code>.</p>
</html>
`
}
