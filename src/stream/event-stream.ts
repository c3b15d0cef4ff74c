import Stream from '@elysiajs/stream'
import type { CloseReason, Sink } from '../hub/subscriber.ts'
import { encodeRetry, type Frame, heartbeat } from '../protocol/event-stream.ts'
import { Backlog, PIECE_BYTES } from './backlog.ts'
import type { Beating, OpenStreams } from './open-streams.ts'

/**
 * Only Elysia's recognition of the class is inherited, through its prototype: its source, framing and closing are
 * replaced, since they answer text/plain, throw at every disconnect, let text inject fields and know no slow
 * reader; and its constructor does not run, since it makes a stream that nobody reads.
 */
class RecognizedStream {}
Object.setPrototypeOf(RecognizedStream.prototype, Stream.prototype)

/**
 * One open event stream: a sink of the hub over a direct stream of Bun, of which it is the source itself.
 *
 * Life: made by a handler -> Bun calls `pull` when it sends the response (only then does the hub register the reader,
 * since a connection that is already gone never pulls) -> open -> closed once, by the reader, the hub or a
 * limit. While the socket takes nothing, frames wait here by reference and are counted; over the limit the
 * stream is cut, and the reader comes back with its cursor.
 *
 * There are tens of thousands of streams. They share one object with everything that is equal for all; a stream makes
 * no part that most never need, and no function of its own.
 */
export class EventStream extends RecognizedStream implements Sink, Beating {
  readonly #options: EventStreamOptions
  readonly #owner: StreamOwner
  /** The headers of the answer, until it is made. */
  #headers: Headers | null
  /** Bun's end of the stream, while it is open. */
  #controller: DirectController | null = null
  #isClosed = false
  #isBlocked = false
  /** The frames that wait; made with the first of them. */
  #backlog: Backlog | null = null
  #waitingBytes = 0
  #ready: PromiseWithResolvers<void> | null = null
  #wroteAt = 0
  place = -1

  constructor(headers: Headers, owner: StreamOwner, options: EventStreamOptions) {
    super()
    this.#headers = headers
    this.#owner = owner
    this.#options = options
  }

  /** The answer of the route, made once: headers now, events when they come. */
  toResponse(): Response {
    const headers = this.#headers
    this.#headers = null
    // Bun's own extension of the constructor; the web's type does not know `direct`.
    const stream = new ReadableStream(this as unknown as UnderlyingDefaultSource<Uint8Array>)
    return new Response(stream, { headers: headers ?? new Headers() })
  }

  /** As the source of the stream: Bun writes through the controller, and keeps nothing of its own. */
  get type(): 'direct' {
    return 'direct'
  }

  /** As the source: Bun sends the answer, which lasts until the stream tells the controller to end. */
  pull(controller: DirectController): void {
    this.#controller = controller
    this.#options.streams.add(this)
    const { retryMs } = this.#options
    // The first bytes make the headers leave at once (SUB-51).
    this.#send(controller, retryMs > 0 ? encodeRetry(retryMs) : heartbeat)
    // The first write may find out that nobody is there.
    if (!this.#isClosed) this.#owner.onOpen(this)
  }

  /** As the source: the connection is gone. */
  cancel(): void {
    this.#owner.end({ kind: 'client' })
    this.close({ kind: 'client' })
  }

  get isReady(): boolean {
    return !this.#isBlocked
  }

  /** Bytes that the socket has not taken yet. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  ready(): Promise<void> {
    if (!this.#isBlocked || this.#isClosed) return Promise.resolve()
    this.#ready ??= Promise.withResolvers()
    return this.#ready.promise
  }

  write(frame: Frame): void {
    const controller = this.#controller
    if (controller === null) return
    if (this.#isBlocked) this.#wait(frame)
    else if (frame.length <= PIECE_BYTES) this.#send(controller, frame)
    else {
      this.#keep(frame)
      this.#sendBacklog(controller)
    }
  }

  beat(quietSince: number): void {
    if (!this.#isBlocked && this.#wroteAt <= quietSince) this.write(heartbeat)
  }

  close(reason: CloseReason): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const controller = this.#controller
    this.#controller = null
    this.#options.streams.remove(this)
    // Before the response ends: Bun 1.4.5 takes an idle timeout only for a request that it still answers.
    this.#owner.onClosed(reason)
    if (controller !== null && reason.kind !== 'client') this.#closeController(controller, reason)
    this.#account(-this.#waitingBytes)
    // Emptied as well: the loop that takes from the backlog may have made the write that ends the stream.
    this.#backlog?.clear()
    this.#backlog = null
    this.#ready?.resolve()
  }

  #send(controller: DirectController, frame: Frame): void {
    this.#wroteAt = this.#options.streams.now
    const written = controller.write(frame)
    if (typeof written === 'number') controller.flush()
    else this.#block(written, frame.length)
  }

  /** Bun has the frame but the socket does not take it: all frames after it wait here. */
  #block(drained: Promise<unknown>, length: number): void {
    this.#isBlocked = true
    this.#account(length)
    drained.then(
      () => this.#unblock(length),
      () => this.#owner.end({ kind: 'client' }),
    )
  }

  #unblock(length: number): void {
    const controller = this.#controller
    if (controller === null) return
    this.#isBlocked = false
    this.#account(-length)
    this.#sendBacklog(controller)
    if (this.#isBlocked) return
    this.#ready?.resolve()
    this.#ready = null
  }

  #wait(frame: Frame): void {
    if (this.#waitingBytes + frame.length > this.#options.bufferBytesMax) {
      this.#owner.end({ kind: 'slow', queuedBytes: this.#waitingBytes })
      return
    }
    this.#keep(frame)
  }

  #keep(frame: Frame): void {
    this.#backlog ??= new Backlog()
    this.#backlog.push(frame)
    this.#account(frame.length)
  }

  #sendBacklog(controller: DirectController): void {
    const backlog = this.#backlog
    if (backlog === null) return
    while (!this.#isBlocked && !backlog.isEmpty) {
      const piece = backlog.take()
      this.#account(-piece.length)
      this.#send(controller, piece)
    }
    if (backlog.isEmpty) this.#backlog = null
  }

  #account(bytes: number): void {
    this.#waitingBytes += bytes
    this.#options.streams.waitingBytes += bytes
  }

  #closeController(controller: DirectController, reason: CloseReason): void {
    if (reason.kind === 'slow' || reason.kind === 'shed') {
      // An immediate reset: the kernel gives up the bytes that the socket did not take and frees their memory.
      controller.close(new Error('the reader is too slow'))
      return
    }
    // All readers of a hub that stops, or of a log that lost its place, would come back in the same moment.
    if ((reason.kind === 'shutdown' || reason.kind === 'lost') && !this.#isBlocked) {
      controller.write(encodeRetry(500 + Math.floor(this.#options.random() * 2500)))
    }
    controller.end()
  }
}

/** One object for all streams that begin under the same settings. */
export interface EventStreamOptions {
  /** Bytes that may wait for the reader. One write to a reader that keeps up may be larger. */
  readonly bufferBytesMax: number
  /** The reconnection time announced at the start, in milliseconds; 0 announces none. */
  readonly retryMs: number
  /** Random numbers in [0, 1), to spread ends that would come at once. */
  readonly random: () => number
  readonly streams: OpenStreams
}

/** The owner of one stream. */
export interface StreamOwner {
  /** Bun sends the answer: the owner registers the reader. */
  onOpen(stream: EventStream): void
  /** The one way to end the stream from its own side. Does nothing before `onOpen` or after the end. */
  end(reason: CloseReason): void
  /** The stream has ended, for any reason. */
  onClosed(reason: CloseReason): void
}

/** The controller of a direct stream, as Bun documents it. */
interface DirectController {
  /** Answers the bytes taken, or a promise while the socket is full. */
  write(chunk: Uint8Array): number | Promise<unknown>
  flush(): unknown
  end(): unknown
  close(error?: Error): void
}
