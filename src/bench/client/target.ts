import type { Trust } from '../../command/hub-request.ts'

/** A hub that is measured: how to subscribe to it and publish on it, as bytes of HTTP/1.1. */
export interface Target {
  readonly url: URL
  /** Whose certificate is believed, where it is not that of the usual authorities. */
  readonly trust?: Trust | null
  /** The whole request of a subscriber. */
  subscription(topic: string, lastEventId: string | null): string
  /** The request of a publisher up to the value of `Content-Length`, which comes last. */
  readonly publicationHead: string
  /** The body of a publication, ASCII only. */
  publication(topic: string, data: string): string
}

export interface MercureOptions {
  readonly url: URL
  /** Fields of the request, such as `Authorization`. */
  readonly publishFields: Readonly<Record<string, string>>
  readonly subscribeFields: Readonly<Record<string, string>>
  /** Whether topics are asked for as hubs of the 0.x generation understand it. */
  readonly isLegacy: boolean
  /** Whose certificate is believed; null: that of the usual authorities. */
  readonly trust?: Trust | null
}

/** Any Mercure hub. */
export function mercureTarget(options: MercureOptions): Target {
  const { url, publishFields, subscribeFields, isLegacy, trust = null } = options
  const parameter = isLegacy ? 'topic' : 'match'
  const form = { 'Content-Type': 'application/x-www-form-urlencoded', ...publishFields }
  return {
    url,
    trust,
    subscription: (topic, lastEventId) => {
      const separator = url.search === '' ? '?' : '&'
      const path = `${url.pathname}${url.search}${separator}${parameter}=${encodeURIComponent(topic)}`
      const cursor = lastEventId === null ? {} : { 'Last-Event-ID': lastEventId }
      return subscriptionRequest(url, path, { ...subscribeFields, ...cursor })
    },
    publicationHead: publicationHead(url, `${url.pathname}${url.search}`, form),
    publication: (topic, data) => `topic=${encodeURIComponent(topic)}&data=${data}`,
  }
}

/** A request for an event stream. */
export function subscriptionRequest(url: URL, path: string, fields: Fields = {}): string {
  return `GET ${path} HTTP/1.1\r\n${lines({ Host: url.host, Accept: 'text/event-stream', ...fields })}\r\n`
}

/** The start of a POST, up to the value of its `Content-Length`. */
export function publicationHead(url: URL, path: string, fields: Fields = {}): string {
  return `POST ${path} HTTP/1.1\r\n${lines({ Host: url.host, ...fields })}Content-Length: `
}

type Fields = Readonly<Record<string, string>>

function lines(fields: Fields): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}
