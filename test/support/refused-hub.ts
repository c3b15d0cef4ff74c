import { binaryPath } from './binary.ts'

/** How a hub ended that must not start. */
export interface RefusedHub {
  readonly code: number
  /** What it wrote about the refusal: its errors in the log, and what is no line of the log, a line each. */
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
  return { code, message: output.split('\n').map(messageOf).join('') }
}

function messageOf(line: string): string {
  if (!line.startsWith('{')) return line === '' ? '' : `${line}\n`
  const { level, message } = JSON.parse(line)
  return level === 'error' ? `${message}\n` : ''
}
