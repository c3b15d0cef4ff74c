/** The two questions of a program that watches the process. */
export interface Health {
  /** Alive: the loop turns. */
  alive(): Response
  /** Ready: asks the store whether it takes a publication. */
  ready(): Promise<Response>
  /** The same answer for operators, with the reason why the hub is not ready. */
  readyInDetail(): Promise<Response>
}

/** `check` resolves when the store can accept a publication and rejects when it cannot. */
export function health(check: () => Promise<void>): Health {
  // Questions that come while a check is under way share its outcome: asking often costs the store nothing more.
  let checking: Promise<string | null> | null = null
  const findProblem = () => {
    checking ??= check()
      .then(
        () => null,
        (error) => (error instanceof Error ? error.message : 'unknown'),
      )
      .finally(() => {
        checking = null
      })
    return checking
  }
  return {
    alive: () => answer(200, 'ok'),
    ready: async () => ((await findProblem()) === null ? answer(200, 'ready') : answer(503, 'not ready')),
    readyInDetail: async () => {
      const problem = await findProblem()
      return problem === null ? answer(200, 'ready') : answer(503, `not ready: ${problem}`)
    },
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
