/** What the tests use of a package that has no types of its own. */
declare module 'event-source-polyfill' {
  export class EventSourcePolyfill extends EventSource {
    constructor(
      url: string,
      options?: {
        readonly headers?: Readonly<Record<string, string>>
        readonly heartbeatTimeout?: number
        readonly lastEventIdQueryParameterName?: string
      },
    )
  }
}
