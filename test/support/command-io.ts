import type { CommandIo } from '../../src/command/command.ts'

/** What a command wrote, and the io to run it with. */
export interface Recorded {
  readonly io: CommandIo
  readonly out: () => string
  readonly err: () => string
  /** How long the command slept each time, in milliseconds. */
  readonly slept: readonly number[]
}

/** A world of its own for one command: nothing of the process is reachable through it. */
export function commandIo(parts: Partial<CommandIo> = {}): Recorded {
  let out = ''
  let err = ''
  const slept: number[] = []
  const io: CommandIo = {
    env: {},
    stdin: async () => '',
    isInputTerminal: () => true,
    ask: () => {
      throw new Error('nobody to ask in this test')
    },
    stdout: (text) => {
      out += text
    },
    stderr: (text) => {
      err += text
    },
    fetch: async () => {
      throw new Error('no network in this test')
    },
    clock: () => Date.UTC(2030, 0, 1),
    sleep: async (ms) => {
      slept.push(ms)
    },
    interrupted: new AbortController().signal,
    readFile: (path) => {
      throw new Error(`no file ${path} in this test`)
    },
    exists: () => false,
    devKeys: () => {
      throw new Error('no keys in this test')
    },
    random: (bytes) => new Uint8Array(bytes).fill(7),
    isTerminal: false,
    isErrorTerminal: false,
    legacyTokens: async () => [],
    containerBytes: null,
    ...parts,
  }
  return { io, out: () => out, err: () => err, slept }
}
