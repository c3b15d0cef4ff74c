import { ProtocolError } from '../protocol/error.ts'
import { decodeForm, type FormPair, type FormRules } from '../protocol/form.ts'

/**
 * The pairs of a form body. Throws `body-too-large` before the body is read whole: a declared length is
 * believed, an undeclared one is counted while it arrives (PUB-61). Then `unsupported-media-type`, and the refusal of
 * the rules.
 * `limit` is in bytes, 0 is none. `isOptional`: an empty body needs no media type (SUB-26).
 */
export async function readForm(
  request: Request,
  limit: number,
  rules: FormRules,
  isOptional: boolean,
): Promise<FormPair[]> {
  const bytes = await readBody(request, limit).catch(endedEarly)
  if (bytes.length === 0 && isOptional) return []
  if (!isForm(request.headers.get('content-type'))) {
    throw new ProtocolError('unsupported-media-type', 'the body is not a form')
  }
  return decodeForm(bytes, rules)
}

function readBody(request: Request, limit: number): Promise<Uint8Array> {
  const declared = request.headers.get('content-length')
  if (limit > 0 && declared !== null && Number(declared) > limit) throw tooLarge(limit)
  if (limit === 0 || declared !== null || request.body === null) return request.bytes()
  return readCounted(request.body, limit)
}

function endedEarly(error: unknown): never {
  if (error instanceof ProtocolError) throw error
  throw new ProtocolError('invalid-form', 'the body ended early', { cause: error })
}

async function readCounted(body: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of body) {
    length += part.length
    if (length > limit) throw tooLarge(limit)
    parts.push(part)
  }
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

/** Compared case-insensitively; parameters of the type are allowed (PUB-01, SUB-20). */
function isForm(contentType: string | null): boolean {
  if (contentType === FORM_TYPE) return true
  const essence = (contentType ?? '').split(';', 1)[0] ?? ''
  return essence.trim().toLowerCase() === FORM_TYPE
}

const FORM_TYPE = 'application/x-www-form-urlencoded'
