import { CommandFailure, type CommandIo } from '../../command/command.ts'
import { reasonOf } from '../../command/failure.ts'
import { explainAnswer } from '../../command/hub-request.ts'
import { EventStreamParser } from '../../protocol/event-reader.ts'
import { bad, type Finding, ok, warn } from './finding.ts'
import { tokenFindings } from './token.ts'

/** A hub as its clients reach it, and what they come with. */
export interface Patient {
  readonly url: URL
  readonly tls: Pick<BunFetchRequestInit, 'tls'>
  /** Tokens that may publish and read private updates on the topic; null: there is none. */
  readonly tokens: { readonly publish: string; readonly subscribe: string } | null
  /** The topic of the update that is published. */
  readonly topic: string
  /** Origins of pages that are to read from the hub. */
  readonly origins: readonly string[]
  readonly cookieName: string
  /** The longest time that an answer or an event may take, in milliseconds. */
  readonly waitMs: number
}

/** Examines a hub by its URL, up to a fault that would make all further findings wrong. */
export async function examineHub(patient: Patient, io: CommandIo): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const reader = new Probe(patient, io)
  try {
    const answer = await reader.open({}, patient.tokens?.subscribe ?? null)
    if ('state' in answer) return [answer]
    const { url, tokens } = patient
    findings.push(...tlsFindings(patient), ...clockFindings(answer, io))
    if (answer.status === 200 && !isEventStream(answer)) {
      return [...findings, bad('path', `${url.href} answers, but is no hub`, PATH_CURE)]
    }
    const hubMs = Date.parse(answer.headers.get('Date') ?? '') || io.clock()
    if (tokens !== null) {
      const found = tokenFindings(tokens.subscribe, url, hubMs)
      findings.push(...(answer.status === 401 || found[0]?.state === 'ok' ? found : []))
    }
    if (answer.status !== 200) return [...findings, await refusalFinding(answer, tokens !== null)]
    findings.push(ok('path', `${url.href} is a hub`))
    if (tokens === null) {
      findings.push(warn('buffering', 'not tried without a token that may publish', TOKEN_CURE))
    } else {
      const delivery = await deliveryFinding(patient, tokens.publish, reader, io)
      findings.push(delivery)
      // A proxy may answer readers in the place of a hub that is away: nothing else of it is true.
      if (delivery.check === 'publish') return findings
      findings.push(await cookieFinding(patient, tokens.subscribe, io))
    }
    findings.push(...(await originFindings(patient, io)))
    return findings
  } finally {
    reader.close()
  }
}

const PATH_CURE =
  'give the whole URL of the hub; hub.path says its path, and the proxy must leave it as it is'
const TOKEN_CURE = 'give --token or --token-file, or run it with the configuration of the hub'

/** One request for an event stream. */
class Probe {
  readonly #patient: Patient
  readonly #io: CommandIo
  readonly #abort = new AbortController()
  #body: ReadableStreamDefaultReader<Uint8Array> | null = null

  constructor(patient: Patient, io: CommandIo) {
    this.#patient = patient
    this.#io = io
  }

  /** The head of the answer, or why there is none. */
  async open(fields: Readonly<Record<string, string>>, token: string | null): Promise<Response | Finding> {
    const { url, tls, topic, waitMs } = this.#patient
    const asked = new URL(url)
    asked.searchParams.set('match', topic)
    const authorization = token === null ? {} : { Authorization: `Bearer ${token}` }
    const headers = { Accept: 'text/event-stream', ...authorization, ...fields }
    const timer = setTimeout(() => this.#abort.abort(), waitMs)
    try {
      const init = { headers, redirect: 'manual' as const, signal: this.#abort.signal, ...tls }
      const response = await this.#io.fetch(asked.href, init)
      if (response.status === 200) this.#body = response.body?.getReader() ?? null
      return response
    } catch (error) {
      return this.#abort.signal.aborted
        ? bad('buffering', `${url.origin} sends no head of an answer within ${waitMs} ms`, BUFFERING_CURE)
        : unreachable(url, error)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Whether an event with this data comes in time. */
  async hears(data: string): Promise<boolean> {
    const parser = new EventStreamParser()
    const timer = setTimeout(() => this.#abort.abort(), this.#patient.waitMs)
    try {
      for (;;) {
        const { done, value } = (await this.#body?.read()) ?? { done: true, value: undefined }
        if (done || value === undefined) return false
        if (parser.push(value).some((event) => event.data === data)) return true
      }
    } catch {
      return false
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#body?.cancel().catch(() => {})
    this.#abort.abort()
  }
}

function isEventStream({ headers }: Response): boolean {
  return /^text\/event-stream\s*(;|$)/i.test(headers.get('Content-Type') ?? '')
}

function unreachable(url: URL, error: unknown): Finding {
  const reason = reasonOf(error)
  if (reason.includes('certificate')) {
    return bad(
      'tls',
      `${url.origin}: ${reason}`,
      'a certificate for this host from an authority that clients know, with its whole chain; --ca-file for one of your own',
    )
  }
  return bad(
    'reach',
    `${url.origin} does not answer: ${reason}`,
    'start the hub or the proxy, and let the port through',
  )
}

function tlsFindings({ url, tls }: Patient): readonly Finding[] {
  if (url.protocol === 'https:') {
    const isExamined = tls.tls?.rejectUnauthorized !== false
    const certificate = isExamined
      ? ', with a certificate that is trusted'
      : '; its certificate was not examined'
    return [ok('tls', `the connection is encrypted${certificate}`)]
  }
  if (/^(localhost|127\.|\[::1\])/.test(url.hostname)) return []
  return [warn('tls', 'tokens and updates are not encrypted, and cookies are not sent', 'use https')]
}

/** Compares with the `Date` of the answer, which has whole seconds. */
function clockFindings({ headers }: Response, { clock }: CommandIo): readonly Finding[] {
  const hubMs = Date.parse(headers.get('Date') ?? '')
  if (Number.isNaN(hubMs)) return []
  const skew = Math.round((clock() - hubMs) / 1000)
  if (Math.abs(skew) <= SKEW_SECONDS)
    return [ok('clock', 'this machine and that of the hub have the same time')]
  const side = skew > 0 ? 'ahead of' : 'behind'
  return [
    bad(
      'clock',
      `the clock of this machine is ${Math.abs(skew)} s ${side} that of the hub`,
      'keep both right with an NTP client: tokens begin and expire by the clock of the hub',
    ),
  ]
}

const SKEW_SECONDS = 30

async function refusalFinding(response: Response, hasToken: boolean): Promise<Finding> {
  const { status } = response
  const text = await explainAnswer(response, hasToken)
  if (status === 404) return bad('path', text, PATH_CURE)
  if (status === 421) {
    return bad(
      'origin',
      text,
      'add the origin to hub.public_urls; behind a proxy set proxy.trusted, and let it send Host and X-Forwarded-Proto',
    )
  }
  if (status === 401 || status === 403)
    return bad('token', text, 'cinnabar token explain TOKEN says why, claim by claim')
  if (status >= 500)
    return bad('reach', text, 'look at the log of the hub, and at that of the proxy: is the hub running?')
  return bad('reach', text, 'give the URL of the hub as clients do')
}

async function deliveryFinding(
  patient: Patient,
  token: string,
  reader: Probe,
  io: CommandIo,
): Promise<Finding> {
  const { url, tls, topic, waitMs } = patient
  const data = topic.slice(-12)
  const body = new URLSearchParams({ topic, data, private: 'on' })
  const headers = { Authorization: `Bearer ${token}` }
  const init = { method: 'POST', body, headers, redirect: 'manual' as const, ...tls }
  const began = io.clock()
  const response = await io
    .fetch(url.href, { ...init, signal: AbortSignal.timeout(waitMs) })
    .catch((error) => new CommandFailure(reasonOf(error)))
  if (response instanceof Error)
    return bad('publish', `no answer to a publication: ${response.message}`, REACH_CURE)
  if (response.status !== 200) {
    const cure = 'cinnabar token explain TOKEN says what the token is worth; the log of the hub has the rest'
    return bad('publish', await explainAnswer(response, true), cure)
  }
  // A body that is held back is one more sign that the reader is waited for in vain.
  await response.text().catch(() => '')
  if (await reader.hears(data)) return ok('buffering', `an update was there after ${io.clock() - began} ms`)
  return bad(
    'buffering',
    `an update was accepted and did not come to its reader in ${waitMs} ms`,
    BUFFERING_CURE,
  )
}

const REACH_CURE = 'the proxy must let POST through as well'
const BUFFERING_CURE =
  'let the proxy pass on answers as they come: nginx obeys the X-Accel-Buffering of the hub, or proxy_buffering off; no compression'

async function cookieFinding(patient: Patient, token: string, io: CommandIo): Promise<Finding> {
  const { cookieName, url } = patient
  if (url.protocol !== 'https:' && cookieName.startsWith('__'))
    return warn('cookies', `browsers send ${cookieName} over https alone`, 'use https')
  const probe = new Probe(patient, io)
  try {
    const answer = await probe.open({ Cookie: `${cookieName}=${token}` }, null)
    if ('state' in answer) return answer
    if (answer.status === 200) return ok('cookies', `a token in the cookie ${cookieName} is accepted`)
    return bad(
      'cookies',
      `with a token in ${cookieName} ${await explainAnswer(answer, true)}`,
      'let the proxy pass on Cookie; the name is hub.cookie_name',
    )
  } finally {
    probe.close()
  }
}

async function originFindings(patient: Patient, io: CommandIo): Promise<readonly Finding[]> {
  return await Promise.all(patient.origins.map((origin) => originFinding(origin, patient, io)))
}

async function originFinding(origin: string, patient: Patient, io: CommandIo): Promise<Finding> {
  if (origin === patient.url.origin) return ok('cors', `${origin} is the origin of the hub`)
  const probe = new Probe(patient, io)
  try {
    const answer = await probe.open({ Origin: origin }, patient.tokens?.subscribe ?? null)
    if ('state' in answer) return answer
    const allowed = answer.headers.get('Access-Control-Allow-Origin')
    const withCookies = answer.headers.get('Access-Control-Allow-Credentials')
    if (allowed === origin && withCookies === 'true') return ok('cors', `pages of ${origin} may read`)
    if (allowed === '*') return warn('cors', `pages of ${origin} may read without cookies`, CORS_CURE)
    return bad('cors', `pages of ${origin} may not read`, CORS_CURE)
  } finally {
    probe.close()
  }
}

const CORS_CURE =
  'add the origin to hub.cors_origins; the proxy must not write Access-Control fields of its own'
