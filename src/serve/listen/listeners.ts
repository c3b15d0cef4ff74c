import type { adminApp } from '../../admin/app.ts'
import type { Settings } from '../../config/load.ts'
import type { hubApp } from '../../http/app.ts'
import type { Log } from '../../telemetry/log.ts'
import { idleSeconds } from '../edge-options.ts'
import { type Certificate, readCertificate, watchCertificate } from './certificate.ts'
import { widenQueues } from './connection-limits.ts'
import { Listener, type Transfer } from './listener.ts'
import { openListeners } from './localhost.ts'

/** The apps behind the listeners, made once for each server. */
export interface Apps {
  readonly hub: () => ReturnType<typeof hubApp>
  readonly admin: () => ReturnType<typeof adminApp>
}

/**
 * All listeners of the process: those of the hub, with their certificate and the kernel's limits on their
 * connections, and that of the operator.
 *
 * Life: made -> `open`, once the log is open -> a certificate is renewed when its files change, and at `reload` ->
 * `stop` without force, while streams are still to end -> `stop` with force.
 */
export class Listeners {
  readonly #log: Log
  readonly #hub: Listener[] = []
  #admin: Listener | null = null
  #settings: Settings
  #certificate: Certificate | null
  #unwatch: () => void = () => {}

  /** `certificate` is that of the settings. */
  constructor(settings: Settings, certificate: Certificate | null, log: Log) {
    this.#settings = settings
    this.#certificate = certificate
    this.#log = log
  }

  /** The addresses of the hub, as URLs or `unix:` paths, in the order of the settings. */
  get addresses(): readonly string[] {
    return this.#hub.map(({ url }) => url)
  }

  /** The address of the admin listener, in the same form; null without one. */
  get adminAddress(): string | null {
    return this.#admin?.url ?? null
  }

  /**
   * Lets nobody in before `ready`. Rejects as `ready` does, and with a plain Error when an address cannot be had;
   * `stop` then stops the listeners that were opened by then.
   */
  async open(apps: Apps, ready: Promise<void>): Promise<void> {
    const { listen, admin, http2, http3, tls } = this.#settings
    const idle = { idleSeconds: idleSeconds(this.#settings) }
    const secure: Transfer = { ...idle, certificate: this.#certificate, http2, http3 }
    const open = (address: Settings['listen'][number]) =>
      Listener.open('listen', apps.hub, address, secure, ready)
    for (const address of listen) {
      await openListeners(address, open, (listener) => this.#hub.push(listener))
    }
    await ready
    this.#limitConnections()
    if (tls.certFile !== null) this.#watchCertificate()
    if (admin.listen === null) return
    const plain: Transfer = { ...idle, certificate: null, http2: false, http3: false }
    this.#admin = await Listener.open('admin.listen', apps.admin, admin.listen, plain, ready)
    widenQueues()
  }

  /** Takes the settings that can be exchanged while it listens: the certificate, read by the caller, and the limits. */
  reload(settings: Settings, certificate: Certificate | null): void {
    this.#settings = settings
    this.#limitConnections()
    this.#renew(certificate)
  }

  /** Accepts nobody from now on; `isForced` ends open connections as well. */
  stop(isForced: boolean): void {
    this.#unwatch()
    for (const listener of this.#hub) listener.stop(isForced)
    this.#admin?.stop(isForced)
  }

  #watchCertificate(): void {
    const renew = () => {
      try {
        this.#renew(readCertificate(this.#settings.tls))
      } catch (error) {
        this.#log.error('certificate refused', { problem: error instanceof Error ? error.message : null })
      }
    }
    this.#unwatch = watchCertificate(() => this.#settings.tls, renew, CERTIFICATE_LOOK_MS)
  }

  #renew(certificate: Certificate | null): void {
    if (certificate === null || Bun.deepEquals(certificate, this.#certificate)) return
    const expires = new Date(certificate.expiresAt).toISOString()
    const renewed = this.#hub.map((listener) => listener.renew(certificate))
    this.#certificate = certificate
    this.#limitConnections()
    if (renewed.every(Boolean)) this.#log.info('certificate renewed', { expires })
    else this.#log.warn('the new certificate needs a restart: http3 is on', { expires })
  }

  /**
   * The kernel gives up a reader that acknowledges nothing for `hub.vanished_after`: longer than an outage that a good
   * reader sits out, since the reset that it is sent then is lost as well. The kernel's buffer for a reader that has
   * stopped follows the hub's, and has room for the largest body.
   */
  #limitConnections(): void {
    const { hub, limits } = this.#settings
    const silenceMs = hub.vanishedAfter
    const unsentBytes = Math.max(UNSENT_SHARE * limits.subscriberBuffer, limits.body)
    const unlimited = this.#hub.filter((listener) => !listener.limitConnections({ silenceMs, unsentBytes }))
    if (unlimited.length > 0) this.#log.debug('vanished and stalled readers are left to the kernel to notice')
    if (!widenQueues()) this.#log.debug('the queues of connections are as long as the runtime makes them')
  }
}

/** Milliseconds between two looks at the certificate files. */
const CERTIFICATE_LOOK_MS = 2000

/**
 * The share of the hub's buffer that the kernel may hold unsent. With the default buffer the kernel would take about as
 * much by itself. With less, the hub cuts readers of many large updates in a burst.
 */
const UNSENT_SHARE = 4
