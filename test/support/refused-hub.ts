import { binaryPath } from './binary.ts'

/** How a hub ended that must not start. */
export interface RefusedHub {
  readonly code: number
  /** What it wrote that is no line of the log. */
  readonly message: string
}

/** Starts a hub on a port that the system chooses and resolves when it has ended; flags may add listeners. */
export async function refusedHub(
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RefusedHub> {
  const common = ['--admin-listen', '', '--hub-anonymous', '--transport', 'memory']
  const child = Bun.spawn([binaryPath(), 'serve', ...common, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { CINNABAR_CONFIG: '', ...env },
  })
  const [code, output] = await Promise.all([child.exited, new Response(child.stderr).text()])
  return { code, message: output.replace(/^\{.*\n/gm, '') }
}
