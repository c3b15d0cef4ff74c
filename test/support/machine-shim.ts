import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The machine of a hub, whose clocks and disk the test moves while the hub runs. */
export interface MachineShim {
  /** For the hub's environment. */
  readonly env: Readonly<Record<string, string>>
  /** How many seconds each clock is ahead of the real one, and whether the disk hangs. What is not named stays. */
  set(state: Partial<MachineState>): void
  remove(): void
}

interface MachineState {
  readonly wall: number
  readonly monotonic: number
  readonly uptime: number
  readonly isDiskHanging: boolean
}

/** Whether there is one: Linux with a C compiler. */
export const hasMachineShim = process.platform === 'linux' && Bun.which('cc') !== null

/** Compiles `machine-shim.c`. */
export function machineShim(initial: Partial<MachineState> = {}): MachineShim {
  const folder = mkdtempSync(join(tmpdir(), 'cinnabar-machine-'))
  const [library, control] = [join(folder, 'shim.so'), join(folder, 'control')]
  const source = new URL('machine-shim.c', import.meta.url).pathname
  const { exitCode, stderr } = Bun.spawnSync(['cc', '-shared', '-fPIC', '-O1', '-o', library, source])
  if (exitCode !== 0) throw new Error(`the shim cannot be compiled: ${stderr}`)
  const file = openSync(control, 'w')
  writeSync(file, new Uint8Array(4096))
  let state: MachineState = { wall: 0, monotonic: 0, uptime: 0, isDiskHanging: false }
  const set = (change: Partial<MachineState>) => {
    state = { ...state, ...change }
    const { wall, monotonic, uptime, isDiskHanging } = state
    const numbers = [wall, monotonic, uptime, isDiskHanging ? 1 : 0].map(BigInt)
    writeSync(file, new Uint8Array(new BigInt64Array(numbers).buffer), 0, 32, 0)
  }
  set(initial)
  return {
    env: { LD_PRELOAD: library, SHIM_CONTROL: control },
    set,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
