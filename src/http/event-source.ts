import Stream from '@elysiajs/stream'
import type { CloseReason, Sink } from '../hub/subscriber.ts'
import { encodeRetry, type Frame, heartbeat } from '../protocol/event-stream.ts'
import { Backlog, PIECE_BYTES } from './backlog.ts'

/**
 * Only Elysia's recognition of the class is inherited: its source, framing and closing are replaced, since
 * they answer text/plain, throw at every disconnect, let text inject fields and know no slow reader.
 */
const RecognizedStream: new () => object = Stream

/**
 * One open event stream: a sink of the hub over a direct stream of Bun.
 *
 * Life: made by a handler -> `pull` when the response is being sent (only then is anybody registered, since
 * HEAD and a connection that is already gone never pull) -> open -> closed once, by the reader, the hub or a
 * limit. While the socket takes nothing, frames wait here by reference and are counted; over the limit the
 * stream is cut, and the reader comes back with its cursor.
 */
export class EventStream extends RecognizedStream implements Sink {
  readonly #options: EventStreamOptions
  #controller: DirectController | null = null
  #finished: PromiseWithResolvers<void> | null = null
  #isClosed = false
  #isBlocked = false
  readonly #backlog = new Backlog()
  #waitingBytes = 0
  #ready: PromiseWithResolvers<void> | null = null
  #end: ((reason: CloseReason) => void) | null = null
  #onClosed: (() => void) | null = null
  #wroteAt = 0

  constructor(options: EventStreamOptions) {
    super()
    this.#options = options
  }

  /** The answer of the route: headers now, events when they come. */
  toResponse(): Response {
    const source = {
      type: 'direct' as const,
      pull: (controller: DirectController) => this.#open(controller),
      cancel: () => this.#end?.({ kind: 'client' }),
    }
    // Bun's own extension of the constructor; the web's type does not know `direct`.
    const stream = new ReadableStream(source as unknown as UnderlyingDefaultSource<Uint8Array>)
    return new Response(stream, { headers: this.#options.headers })
  }

  get headers(): Headers {
    return this.#options.headers
  }

  /** Runs once when the stream ends, for whatever reason; at once when it already has. */
  onClosed(run: () => void): void {
    if (this.#isClosed) run()
    else this.#onClosed = run
  }

  get isReady(): boolean {
    return !this.#isBlocked
  }

  /** Bytes that the socket has not taken. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  ready(): Promise<void> {
    if (!this.#isBlocked || this.#isClosed) return Promise.resolve()
    this.#ready ??= Promise.withResolvers()
    return this.#ready.promise
  }

  write(frame: Frame): void {
    if (this.#isClosed || this.#controller === null) return
    if (this.#isBlocked) this.#wait(frame)
    else if (frame.length <= PIECE_BYTES) this.#send(this.#controller, frame)
    else {
      this.#keep(frame)
      this.#sendBacklog(this.#controller)
    }
  }

  /** Writes a comment when nothing was written since the time, in milliseconds of the streams' clock. */
  beat(quietSince: number): void {
    if (!this.#isBlocked && this.#wroteAt <= quietSince) this.write(heartbeat)
  }

  close(reason: CloseReason): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const controller = this.#controller
    this.#controller = null
    this.#options.streams.remove(this)
    // Before the response ends: Bun 1.4.5 takes an idle timeout only for a request that is still answered.
    this.#onClosed?.()
    if (controller !== null && reason.kind !== 'client') this.#closeController(controller, reason)
    this.#account(-this.#waitingBytes)
    this.#backlog.clear()
    this.#ready?.resolve()
    this.#finished?.resolve()
  }

  #open(controller: DirectController): Promise<void> {
    this.#controller = controller
    this.#finished = Promise.withResolvers()
    this.#options.streams.add(this)
    // The first bytes make the headers leave at once (SUB-51).
    this.#send(controller, this.#options.retryMs > 0 ? encodeRetry(this.#options.retryMs) : heartbeat)
    this.#end = this.#options.onOpen(this)
    return this.#finished.promise
  }

  #send(controller: DirectController, frame: Frame): void {
    this.#wroteAt = this.#options.streams.now
    const written = controller.write(frame)
    if (typeof written === 'number') controller.flush()
    else this.#block(written, frame.length)
  }

  /** Bun has the frame but the socket does not take it: everything further waits here. */
  #block(drained: Promise<unknown>, length: number): void {
    this.#isBlocked = true
    this.#account(length)
    drained.then(
      () => this.#unblock(length),
      () => this.#end?.({ kind: 'client' }),
    )
  }

  #unblock(length: number): void {
    if (this.#isClosed || this.#controller === null) return
    this.#isBlocked = false
    this.#account(-length)
    this.#sendBacklog(this.#controller)
    if (this.#isBlocked) return
    this.#ready?.resolve()
    this.#ready = null
  }

  #wait(frame: Frame): void {
    if (this.#waitingBytes + frame.length > this.#options.bufferBytesMax) {
      this.#end?.({ kind: 'slow', queuedBytes: this.#waitingBytes })
      return
    }
    this.#keep(frame)
  }

  #keep(frame: Frame): void {
    this.#backlog.push(frame)
    this.#account(frame.length)
  }

  #sendBacklog(controller: DirectController): void {
    while (!this.#isBlocked && !this.#backlog.isEmpty) {
      const piece = this.#backlog.take()
      this.#account(-piece.length)
      this.#send(controller, piece)
    }
  }

  #account(bytes: number): void {
    this.#waitingBytes += bytes
    this.#options.streams.waitingBytes += bytes
  }

  #closeController(controller: DirectController, reason: CloseReason): void {
    if (reason.kind === 'slow' || reason.kind === 'shed') {
      // An immediate reset: what the socket did not take is given up and its memory is free.
      controller.close(new Error('the reader is too slow'))
      return
    }
    if (reason.kind === 'shutdown' && !this.#isBlocked) {
      controller.write(encodeRetry(this.#options.comeBackMs()))
    }
    controller.end()
  }
}

export interface EventStreamOptions {
  readonly headers: Headers
  /** Bytes that may wait for the reader. One write to a reader that keeps up may be larger. */
  readonly bufferBytesMax: number
  /** The reconnection time announced at the start, in milliseconds; 0 announces none. */
  readonly retryMs: number
  /** The jittered reconnection time announced at a shutdown, in milliseconds. */
  readonly comeBackMs: () => number
  readonly streams: OpenStreams
  /** Registers the reader; returns the one way to end it. */
  readonly onOpen: (stream: EventStream) => (reason: CloseReason) => void
}

/** What every stream that is open shares: the heartbeat and the sum of waiting bytes. */
export class OpenStreams {
  readonly #open = new Set<EventStream>()
  readonly #clock: () => number
  /** Milliseconds of the clock, as of the last look. */
  now: number
  /** How late the last beat was, in milliseconds: what the event loop makes everybody wait. */
  lagMs = 0
  /** Bytes waiting for slow readers, in sum. */
  waitingBytes = 0
  /** A comment is written after so much silence; 0 is never. */
  heartbeatMs: number

  constructor(clock: () => number, heartbeatMs: number) {
    this.#clock = clock
    this.heartbeatMs = heartbeatMs
    this.now = clock()
  }

  get size(): number {
    return this.#open.size
  }

  /** How often `beat` wants to be called, in milliseconds. One timer serves all streams. */
  get beatMs(): number {
    return this.heartbeatMs === 0 ? 1000 : Math.min(1000, Math.max(50, this.heartbeatMs / 4))
  }

  add(stream: EventStream): void {
    this.#open.add(stream)
  }

  remove(stream: EventStream): void {
    this.#open.delete(stream)
  }

  beat(): void {
    const now = this.#clock()
    this.lagMs = Math.max(0, now - this.now - this.beatMs)
    this.now = now
    if (this.heartbeatMs === 0) return
    const quietSince = this.now - this.heartbeatMs
    for (const stream of this.#open) stream.beat(quietSince)
  }
}

/** The controller of a direct stream, as Bun documents it. */
interface DirectController {
  /** Bytes taken, or a promise while the socket is full. */
  write(chunk: Uint8Array): number | Promise<unknown>
  flush(): unknown
  end(): unknown
  close(error?: Error): void
}
