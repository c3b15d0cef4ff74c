import { ProtocolError } from './error.ts'
import { encode, type Frame } from './event-stream.ts'
import { type FormPair, type FormRules, UNKNOWN_FIELDS_MAX } from './form.ts'
import { type HubLocation, isProtocolString, parseTopic, type Topic } from './topic.ts'

/** A valid publication. Only `parseUpdate` and the hub's own subscription events make one. */
export interface Update {
  /** The id that the publisher chose, or null: the hub makes one. */
  readonly id: string | null
  /** The first is canonical, the others are alternates. Never empty. */
  readonly topics: readonly Topic[]
  readonly data: string
  readonly type: string | null
  readonly retryMs: number | null
  readonly private: boolean
}

/** An update with its address outside and its content sealed: nothing needs the fields again. */
export interface Envelope {
  readonly id: string
  readonly topics: readonly string[]
  readonly private: boolean
  readonly frame: Frame
}

/** Limits on a publication (PUB-60). Zero is no limit. */
export interface UpdateLimits {
  /** Number of `topic` fields. */
  readonly topics: number
  /** Length of one topic, id or type, in UTF-16 code units. */
  readonly field: number
  /** Length of the id in bytes: every reader sends it back in a field of its next request. */
  readonly id: number
}

/** The rules for the form of a publish request. More pairs than it may have are `too-many-fields`. */
export function updateForm({ topics }: UpdateLimits): FormRules {
  const isKnown = (name: string | null) => name !== null && fieldNames.has(name)
  return { isKnown, pairsMax: topics > 0 ? topics + UNKNOWN_FIELDS_MAX : 0, refusal: 'too-many-fields' }
}

const fieldNames: ReadonlySet<string> = new Set(['topic', 'data', 'id', 'type', 'retry', 'private'])

/**
 * Reads an update from the pairs of a publish request.
 * Throws `missing-topic`, `too-many-topics`, `field-too-long`, `invalid-topic`, `reserved-topic`,
 * `invalid-id`, `invalid-type`, `invalid-retry` or `invalid-form`, in the order of PUB-02.
 */
export function parseUpdate(pairs: readonly FormPair[], hub: HubLocation, limits: UpdateLimits): Update {
  const fields = collect(pairs)
  if (fields.topics.length === 0) throw new ProtocolError('missing-topic', 'a publication needs a topic')
  if (limits.topics > 0 && fields.topics.length > limits.topics) {
    throw new ProtocolError('too-many-topics', `a publication has at most ${limits.topics} topics`)
  }
  for (const value of [...fields.topics, fields.id, fields.type]) checkLength(value, limits.field)
  checkIdBytes(fields.id, limits.id)
  return {
    topics: fields.topics.map((value) => parseTopic(value, hub)),
    id: parseId(fields.id),
    type: parseType(fields.type),
    retryMs: parseRetry(fields.retry),
    data: fields.data ?? '',
    private: fields.private,
  }
}

/** Encodes the update once, for every reader and for the log. */
export function seal(update: Update, id: string): Envelope {
  return { id, topics: update.topics, private: update.private, frame: encode(update, id) }
}

interface Fields {
  topics: string[]
  data: string | null
  id: string | null
  type: string | null
  retry: string | null
  private: boolean
}

/** The first of a repeated field counts (PUB-06); `private` counts by its presence (PUB-25). */
function collect(pairs: readonly FormPair[]): Fields {
  const fields: Fields = { topics: [], data: null, id: null, type: null, retry: null, private: false }
  for (const { name, value } of pairs) {
    switch (name) {
      case 'topic':
        fields.topics.push(text(value, name))
        break
      case 'data':
      case 'id':
      case 'type':
      case 'retry': {
        const checked = text(value, name)
        fields[name] ??= checked
        break
      }
      case 'private':
        fields.private = true
        break
      default:
        break
    }
  }
  return fields
}

function text(value: string | null, name: string): string {
  if (value === null) throw new ProtocolError('invalid-form', `the field ${name} is not UTF-8`)
  return value
}

function checkLength(value: string | null, limit: number): void {
  if (limit > 0 && value !== null && value.length > limit) {
    throw new ProtocolError('field-too-long', `a topic, id or type has at most ${limit} characters`)
  }
}

function checkIdBytes(id: string | null, limit: number): void {
  // Most ids are so short that even three bytes for each character fit.
  if (limit === 0 || id === null || 3 * id.length <= limit) return
  if (encoder.encode(id).length > limit) {
    throw new ProtocolError('field-too-long', `an id has at most ${limit} bytes`)
  }
}

const encoder = new TextEncoder()

function parseId(id: string | null): string | null {
  if (id === null || id === '') return null
  if (!isProtocolString(id)) throw new ProtocolError('invalid-id', 'the id holds a forbidden character')
  if (id.startsWith('#')) throw new ProtocolError('invalid-id', 'an id must not start with #')
  // The field of a request loses blanks at its ends, so that no reader could come back with such an id.
  if (/^ +$/.test(id)) throw new ProtocolError('invalid-id', 'an id must not be blank')
  if (id === 'earliest') throw new ProtocolError('invalid-id', 'the id earliest is reserved')
  return id
}

function parseType(type: string | null): string | null {
  if (type === null || type === '') return null
  if (!isProtocolString(type)) throw new ProtocolError('invalid-type', 'the type holds a forbidden character')
  if (type === 'mercure') throw new ProtocolError('invalid-type', 'the type mercure is reserved for the hub')
  return type
}

function parseRetry(retry: string | null): number | null {
  if (retry === null || retry === '') return null
  const value = Number(retry)
  if (!/^[0-9]+$/.test(retry) || value > RETRY_MS_MAX) {
    throw new ProtocolError(
      'invalid-retry',
      `retry is a number of milliseconds up to ${RETRY_MS_MAX}, digits only`,
    )
  }
  return value
}

/** Clients keep the reconnection time in 31 bits; their timers fire at once beyond that. */
const RETRY_MS_MAX = 2 ** 31 - 1
