import { binaryPath } from './binary.ts'
import { bareEnv } from './run-command.ts'

/** A line of the shell on a terminal of its own, with `$C` as the executable. */
export interface Terminal {
  /** Everything that the terminal was sent so far. */
  readonly screen: () => string
  /** What the user types. */
  type(text: string): void
  readonly exited: Promise<number>
  [Symbol.asyncDispose](): Promise<void>
}

export interface TerminalOptions {
  readonly directory?: string
  readonly columns?: number
  readonly env?: Readonly<Record<string, string>>
}

/** Starts the line. All three streams are the terminal unless the line sends them elsewhere. */
export function openTerminal(line: string, options: TerminalOptions = {}): Terminal {
  let screen = ''
  const decoder = new TextDecoder()
  const child = Bun.spawn(['sh', '-c', line], {
    ...(options.directory !== undefined && { cwd: options.directory }),
    env: { ...bareEnv, TERM: 'xterm', C: binaryPath(), ...options.env },
    terminal: {
      cols: options.columns ?? 80,
      rows: 24,
      data: (_terminal, data) => {
        screen += decoder.decode(data, { stream: true })
      },
    },
  })
  return {
    screen: () => screen,
    type: (text) => void child.terminal?.write(text),
    exited: child.exited,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await child.exited
      child.terminal?.close()
    },
  }
}
