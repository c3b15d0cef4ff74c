import type { Loop } from '../../hub/loop.ts'
import { ProtocolError } from '../../protocol/error.ts'

/** Limits on request bodies that the hub is receiving. */
export interface UploadLimits {
  /** Bytes of all bodies in sum. 0 is no limit. */
  readonly bytes: number
  /** Milliseconds without a byte after which the hub gives a body up. */
  readonly idleMs: number
  /** The least bytes a second with which a body must come on average, once `idleMs` have passed. */
  readonly bytesPerSecond: number
}

/** The connection on which a body comes. */
export interface UploadConnection {
  /** Keeps the connection open while nothing moves on it, or leaves it to the idle timeout. */
  stayOpen(isOpen: boolean): void
}

/**
 * The bodies that the hub is receiving: their bytes in sum, and the time since each last moved. Nearly all are whole at
 * once and only counted. One timer looks at the others, as long as there are any.
 *
 * Bun 1.4.5 would cut a body below 16 KiB a second with its idle timeout, without an answer, and over HTTP/2 let one
 * byte now and then keep a body open for good. So the hub puts Bun's timeout off for a body that takes time, and these
 * limits rule.
 */
export class Uploads {
  readonly #loop: Loop
  readonly #open = new Set<Upload>()
  limits: UploadLimits
  #bytes = 0
  #isWatched = false

  constructor(limits: UploadLimits, loop: Loop) {
    this.limits = limits
    this.#loop = loop
  }

  /** Bytes of the bodies that are not read to their end, for the gauge. */
  get bytes(): number {
    return this.#bytes
  }

  /** The number of bodies that the hub is receiving. */
  get size(): number {
    return this.#open.size
  }

  /**
   * Begins a body. `share` is the part of the limit that bodies of its kind may take, together with all others.
   * The caller must call `end` for it in every case.
   */
  begin(connection: UploadConnection, share: number): Upload {
    const upload = new Upload(this, connection, share, this.now)
    this.#open.add(upload)
    if (!this.#isWatched) this.#watch()
    return upload
  }

  /** For `Upload` alone. Throws `uploads-full`. */
  take(bytes: number, share: number): void {
    const most = this.limits.bytes * share
    if (most > 0 && this.#bytes + bytes > most) {
      throw new ProtocolError('uploads-full', 'the bodies that are being received take all that they may')
    }
    this.#bytes += bytes
  }

  /** For `Upload` alone. */
  giveBack(upload: Upload): void {
    this.#open.delete(upload)
    this.#bytes -= upload.bytes
  }

  /** For `Upload` alone. */
  get now(): number {
    return this.#loop.now()
  }

  #watch(): void {
    this.#isWatched = true
    this.#loop.delay(LOOK_MS, () => {
      this.#isWatched = false
      const { now } = this
      for (const upload of this.#open) upload.look(now)
      if (this.#open.size > 0) this.#watch()
    })
  }
}

/** Milliseconds between two looks at the bodies that take time. */
const LOOK_MS = 1000

/** One body, from its first byte to its last or to its refusal. */
export class Upload {
  readonly #uploads: Uploads
  readonly #connection: UploadConnection
  readonly #share: number
  readonly #startedAt: number
  #movedAt: number
  /** Bytes that the body holds, or that are reserved for it. */
  bytes = 0
  /** Whether all of its bytes were reserved before they came, so that nobody sees them come. */
  #isReserved = false
  #isSlow = false
  #refuse: ((error: Error) => void) | null = null

  constructor(uploads: Uploads, connection: UploadConnection, share: number, now: number) {
    this.#uploads = uploads
    this.#connection = connection
    this.#share = share
    this.#startedAt = now
    this.#movedAt = now
  }

  /** Reserves `bytes` for a body that is read in one piece. Throws `uploads-full`. */
  reserve(bytes: number): void {
    this.#uploads.take(bytes, this.#share)
    this.bytes += bytes
    this.#isReserved = true
  }

  /** Counts bytes that have come. Throws `uploads-full`. */
  grow(bytes: number): void {
    this.#uploads.take(bytes, this.#share)
    this.bytes += bytes
    this.#movedAt = this.#uploads.now
  }

  /** Waits for some of the body, and rejects with `body-too-slow` when it does not come. */
  await<Part>(part: Promise<Part>): Promise<Part> {
    return new Promise((resolve, reject) => {
      this.#refuse = reject
      part.then(resolve, reject)
    })
  }

  /** The body was received or refused: frees its bytes. */
  end(): void {
    this.#uploads.giveBack(this)
    // Before the answer: Bun takes an idle timeout only for a request that it still answers.
    if (this.#isSlow) this.#connection.stayOpen(false)
  }

  /** For `Uploads` alone. */
  look(now: number): void {
    if (!this.#isSlow) this.#connection.stayOpen(true)
    this.#isSlow = true
    const { idleMs, bytesPerSecond } = this.#uploads.limits
    const atRate = this.#startedAt + idleMs + (this.bytes * 1000) / bytesPerSecond
    const isStalled = !this.#isReserved && now > this.#movedAt + idleMs
    if (isStalled || now > atRate) {
      this.#refuse?.(new ProtocolError('body-too-slow', 'the body came too slowly'))
    }
  }
}
