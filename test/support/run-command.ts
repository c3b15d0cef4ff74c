import { binaryPath } from './binary.ts'

/** How a command of the executable ended. */
export interface CommandEnd {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command of the executable in a folder until it ends. */
export async function runCommand(
  words: readonly string[],
  directory: string,
  stdin: Blob = new Blob(),
): Promise<CommandEnd> {
  const child = Bun.spawn([binaryPath(), ...words], {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: [stdin, 'pipe', 'pipe'],
    timeout: 20_000,
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}
