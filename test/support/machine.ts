import type { Clocks } from '../../src/transport/log-clock.ts'

/** A machine whose clocks the test moves. */
export class Machine implements Clocks {
  boot: string | null = 'first'
  #wall: number
  #monotonic = 100
  #uptime = 5000
  readonly #hasUptime: boolean

  constructor(wall: number, hasUptime = true) {
    this.#wall = wall
    this.#hasUptime = hasUptime
  }

  wall = () => this.#wall
  monotonic = () => this.#monotonic
  /** As the system has it, in whole seconds that are rounded up. */
  uptime = () => (this.#hasUptime ? Math.ceil(this.#uptime / 1000) * 1000 : null)

  /** Time goes by. */
  pass(ms: number): void {
    this.#wall += ms
    this.#uptime += ms
    this.#monotonic += ms
  }

  /** Time goes by while it sleeps. */
  sleep(ms: number, isCounted = false): void {
    this.#wall += ms
    this.#uptime += ms
    if (isCounted) this.#monotonic += ms
  }

  /** Somebody sets the clock. */
  set(wall: number): void {
    this.#wall = wall
  }

  /** The hub's process ends and another one begins some time later. */
  restartHub(ms: number): void {
    this.pass(ms)
    this.#monotonic = 7
  }

  /** It is off for so long, and then its clock shows this. */
  reboot(boot: string, wall: number): void {
    this.boot = boot
    this.#wall = wall
    this.#uptime = 900
    this.#monotonic = 7
  }
}
