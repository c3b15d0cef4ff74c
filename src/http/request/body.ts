import { ProtocolError } from '../../protocol/error.ts'
import { decodeForm, type FormPair, type FormRules } from '../../protocol/form.ts'
import type { Upload, UploadConnection, Uploads } from './uploads.ts'

export interface FormOptions {
  /** Bytes that a body may have; 0 is no limit. */
  readonly limit: number
  /** The rules for the fields of the form. */
  readonly rules: FormRules
  /** Whether an empty body needs no media type (SUB-26). */
  readonly isOptional: boolean
  readonly uploads: Uploads
  /** The part of the limit on all bodies that bodies of this kind may take. */
  readonly share: number
}

/** A request with a body, and its connection. */
export interface BodyExchange extends UploadConnection {
  readonly request: Request
}

/**
 * The pairs of a form body. Throws `body-too-large` before the body is read whole: a declared length is
 * believed, an undeclared one is counted while it arrives (PUB-61). Throws `uploads-full` when all bodies that are
 * received take too much, and `body-too-slow`. Then `unsupported-media-type`, and the refusal of
 * the rules.
 */
export async function readForm(exchange: BodyExchange, options: FormOptions): Promise<FormPair[]> {
  const { request } = exchange
  const { uploads, share, isOptional, rules } = options
  const limit = limitOf(options)
  const declared = declaredLength(request)
  if (declared !== null && limit > 0 && declared > limit) throw tooLarge(limit)
  const upload = uploads.begin(exchange, share)
  try {
    const bytes = await receive(request, upload, declared, limit)
    if (bytes.length === 0 && isOptional) return []
    if (!isForm(request.headers.get('content-type'))) {
      throw new ProtocolError('unsupported-media-type', 'the body is not a form')
    }
    return decodeForm(bytes, rules)
  } finally {
    upload.end()
  }
}

/** The limit of one body: none can ever be larger than all bodies may be together. */
function limitOf({ limit, uploads }: FormOptions): number {
  const { bytes } = uploads.limits
  return bytes > 0 && (limit === 0 || limit > bytes) ? bytes : limit
}

function declaredLength(request: Request): number | null {
  const declared = request.headers.get('content-length')
  return declared === null ? null : Number(declared)
}

async function receive(request: Request, upload: Upload, declared: number | null, limit: number) {
  try {
    if (declared !== null && declared <= WHOLE_BYTES) {
      upload.reserve(declared)
      return await upload.await(request.bytes())
    }
    return request.body === null ? nothing : await receiveParts(request.body, upload, limit)
  } catch (error) {
    if (error instanceof ProtocolError) throw error
    throw new ProtocolError('invalid-form', 'the body ended early', { cause: error })
  }
}

/**
 * Up to this length the hub reads a body in one piece, which saves 4 us over reading it in parts, and counts it before
 * it has come. A larger body counts by the bytes that have come, so that nobody claims bytes without sending them.
 */
const WHOLE_BYTES = 16 * 1024

const nothing = new Uint8Array()

async function receiveParts(
  body: ReadableStream<Uint8Array>,
  upload: Upload,
  limit: number,
): Promise<Uint8Array> {
  const reader = body.getReader()
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const { done, value } = await upload.await(reader.read())
      if (done) return join(parts, length)
      length += value.length
      if (limit > 0 && length > limit) throw tooLarge(limit)
      upload.grow(value.length)
      parts.push(value)
    }
  } catch (error) {
    // Nobody wants the rest of the body. Cancelling fails where the connection has failed.
    void reader.cancel().catch(() => {})
    throw error
  }
}

function join(parts: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = parts
  if (only !== undefined && parts.length === 1) return only
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

function tooLarge(limit: number): ProtocolError {
  return new ProtocolError('body-too-large', `the body is larger than ${limit} bytes`)
}

/** Whether the type is that of a form, in any case and with any parameters (PUB-01, SUB-20). */
function isForm(contentType: string | null): boolean {
  if (contentType === FORM_TYPE) return true
  const essence = (contentType ?? '').split(';', 1)[0] ?? ''
  return essence.trim().toLowerCase() === FORM_TYPE
}

const FORM_TYPE = 'application/x-www-form-urlencoded'
