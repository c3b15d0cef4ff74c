/** The two questions of a program that watches the process. */
export interface Health {
  /** Alive: the loop turns. */
  alive(): Response
  /** Ready: asks the store whether it takes a publication. */
  ready(): Promise<Response>
}

/** `check` resolves when the store can accept a publication and rejects when it cannot. */
export function health(check: () => Promise<void>): Health {
  // Questions that come while a check is under way share its outcome: asking often costs the store nothing more.
  let checking: Promise<boolean> | null = null
  const isReady = () => {
    checking ??= check()
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        checking = null
      })
    return checking
  }
  return {
    alive: () => answer(200, 'ok'),
    ready: async () => ((await isReady()) ? answer(200, 'ready') : answer(503, 'not ready')),
  }
}

function answer(status: number, text: string): Response {
  const headers = {
    'Content-Type': 'text/plain; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  }
  return new Response(`${text}\n`, { status, headers })
}
