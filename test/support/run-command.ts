import { binaryPath } from './binary.ts'

/** How a command of the executable ended. */
export interface CommandEnd {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** The environment of a command that is to find no configuration but the one that it is given. */
export const bareEnv: Readonly<Record<string, string>> = {
  PATH: process.env['PATH'] ?? '',
  CINNABAR_CONFIG: '',
}

/** Runs a command of the executable in a folder until it ends. */
export async function runCommand(
  words: readonly string[],
  directory: string,
  stdin: Blob = new Blob(),
  env = bareEnv,
): Promise<CommandEnd> {
  const child = Bun.spawn([binaryPath(), ...words], {
    cwd: directory,
    env,
    stdio: [stdin, 'pipe', 'pipe'],
    timeout: 20_000,
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}

/** A command that goes on until somebody ends it. */
export interface RunningCommand {
  readonly pid: number
  /** What it has written so far. */
  readonly out: () => string
  readonly err: () => string
  /** Sends the signal and resolves with the exit code when the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<number>
  /** Kills it when a test fails before it has ended. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts a command of the executable in a folder. */
export function startCommand(words: readonly string[], directory: string, env = bareEnv): RunningCommand {
  const child = Bun.spawn([binaryPath(), ...words], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const written = { out: '', err: '' }
  const read = async (from: ReadableStream<Uint8Array>, name: 'out' | 'err') => {
    const decoder = new TextDecoder()
    for await (const chunk of from) written[name] += decoder.decode(chunk, { stream: true })
  }
  const reading = Promise.all([read(child.stdout, 'out'), read(child.stderr, 'err')])
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal)
    const code = await child.exited
    await reading
    return code
  }
  return {
    pid: child.pid,
    out: () => written.out,
    err: () => written.err,
    stop,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await stop('SIGKILL')
    },
  }
}
