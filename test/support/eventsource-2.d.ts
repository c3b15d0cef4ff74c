/** What the tests use of version 2 of `eventsource`, which has no types of its own. */
declare module 'eventsource-2' {
  class OldEventSource extends EventSource {
    constructor(url: string, options?: { readonly headers?: Readonly<Record<string, string>> })
  }

  export = OldEventSource
}
