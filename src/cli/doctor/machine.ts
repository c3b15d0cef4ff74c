import { statSync } from 'node:fs'
import { checkIssuers } from '../../auth/issuers.ts'
import type { CommandIo } from '../../command/command.ts'
import { messageOf, reasonOf } from '../../command/failure.ts'
import { bytesText, countText } from '../../command/quantity.ts'
import { formatAddress, type ListenAddress } from '../../config/addresses.ts'
import { attempt } from '../../config/file.ts'
import { type Configuration, describeProblem, type Settings } from '../../config/load.ts'
import { examineHistory } from '../../history/examine.ts'
import { HistoryProblem } from '../../history/file.ts'
import { startProblems, startWarnings } from '../../serve/problems.ts'
import { serverOptions } from '../../serve/store/redis-server.ts'
import { examineServer } from '../../transport/redis/examine.ts'
import { endpointAt } from '../health.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

/** Examines this machine and the configuration, as the user that runs the command. */
export async function examineMachine(
  configuration: Configuration,
  io: CommandIo,
): Promise<readonly Finding[]> {
  const history = await historyFindings(configuration, io)
  return [
    ...configurationFindings(configuration),
    ...(await keyFindings(configuration, io)),
    clockFinding(io),
    descriptorFinding(configuration),
    memoryFinding(configuration, io),
    ...(await portFindings(configuration, io)),
    ...history,
  ]
}

function configurationFindings(configuration: Configuration): readonly Finding[] {
  const { settings, isDev, file, warnings } = configuration
  const problems = startProblems(settings, isDev).map((problem) =>
    bad('configuration', problem, 'change that setting; cinnabar check says when all is well'),
  )
  const doubts = warnings.map((problem) =>
    warn('configuration', describeProblem(problem), 'change it, unless it is meant so'),
  )
  const found = [...problems, ...doubts]
  return found.length > 0 ? found : [ok('configuration', file === null ? 'valid' : `${file} is valid`)]
}

/** Keys that cannot be used, and files of keys that others may read or write. */
async function keyFindings({ settings, origins }: Configuration, io: CommandIo): Promise<readonly Finding[]> {
  const problems = (await checkIssuers(settings.issuers)).map((problem) =>
    bad(
      'keys',
      describeProblem({ ...problem, isUsage: false }),
      'make another key: cinnabar init makes good ones',
    ),
  )
  const secrets = [...origins.values()].flatMap(({ secretFile }) => secretFile ?? [])
  const files = new Set([...secrets, ...(settings.tls.keyFile === null ? [] : [settings.tls.keyFile])])
  const found = [...problems, ...[...files].flatMap((path) => rightsFinding(path, io))]
  if (found.length > 0) return found
  if (settings.issuers.length > 0)
    return [ok('keys', `${countText(settings.issuers.length, 'issuer', 'issuers')} with usable keys`)]
  return [warn('keys', 'no issuer has a key: nobody can publish', 'add issuers, as cinnabar init does')]
}

function rightsFinding(path: string, io: CommandIo): readonly Finding[] {
  // A public key makes no tokens, so everybody may read it.
  const text = attempt(() => io.readFile(path))
  if (typeof text === 'string' && /-----BEGIN (PUBLIC KEY|CERTIFICATE)-----/.test(text)) return []
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
  const cure = `chmod 600 ${path}, or 640 for the group of the hub`
  if ((mode & 0o022) !== 0) return [bad('keys', `others may write to ${path}`, cure)]
  // In a container that is how secrets are mounted, and there is no other user.
  return (mode & 0o004) === 0 ? [] : [warn('keys', `every user of this machine may read ${path}`, cure)]
}

/** A machine that has no battery starts in a year before this program was made. */
function clockFinding({ clock }: CommandIo): Finding {
  const now = clock()
  const text = `the clock of this machine says ${new Date(now).toISOString().slice(0, 19)}Z`
  if (now >= MADE_MS) return ok('clock', text)
  return bad(
    'clock',
    `${text}, and so no token is valid`,
    'set the clock, and keep it right with an NTP client',
  )
}

const MADE_MS = Date.UTC(2026, 0, 1)

function descriptorFinding({ settings }: Configuration): Finding {
  const [warning] = startWarnings(settings)
  if (warning === undefined) return ok('descriptors', 'there are enough for the connections')
  return warn('descriptors', warning, 'LimitNOFILE= in the unit, ulimit -n in a shell, or a lower limit')
}

function memoryFinding({ settings, notes }: Configuration, { containerBytes }: CommandIo): Finding {
  const { memory } = settings.limits
  const note = notes.find(({ setting }) => setting === 'limits.memory')
  if (note !== undefined) return ok('memory', note.message)
  if (containerBytes === null) {
    const budget =
      memory === 0 ? 'and the hub has no budget' : `and the hub has a budget of ${bytesText(memory)}`
    return ok('memory', `no control group limits this process, ${budget}`)
  }
  if (memory !== 0 && memory <= containerBytes)
    return ok('memory', `the budget of ${bytesText(memory)} fits into ${bytesText(containerBytes)}`)
  return bad(
    'memory',
    `the control group ends the hub above ${bytesText(containerBytes)}, and its budget allows more`,
    'lower limits.memory, or leave it out: then it follows the control group',
  )
}

async function portFindings({ settings }: Configuration, io: CommandIo): Promise<readonly Finding[]> {
  const { admin, listen, tls } = settings
  const places = [
    ...listen.map((address) => ({ address, isTls: tls.certFile !== null })),
    ...(admin.listen === null ? [] : [{ address: admin.listen, isTls: false }]),
  ]
  return await Promise.all(places.map(({ address, isTls }) => portFinding(address, isTls, io)))
}

/** Whether the hub could listen there now, or does. */
async function portFinding(address: ListenAddress, isTls: boolean, io: CommandIo): Promise<Finding> {
  const name = formatAddress(address)
  if (await isHub(address, isTls, io)) return ok('ports', `a hub is listening on ${name}`)
  // Listening on a Unix socket for a try would leave a file there.
  if (address.kind === 'unix') return ok('ports', `nobody answers on ${name}`)
  try {
    Bun.listen({ hostname: address.host, port: address.port, socket: { data: () => {} } }).stop(true)
    return ok('ports', `${name} is free`)
  } catch (error) {
    const reason = reasonOf(error)
    if (reason === 'EADDRINUSE')
      return bad(
        'ports',
        `${name} is taken by another program`,
        `end it (ss -ltnp shows it), or listen elsewhere`,
      )
    const cure =
      reason === 'EACCES'
        ? 'listen on a port from 1024 on, or give the right: CAP_NET_BIND_SERVICE'
        : 'listen on an address of this machine'
    return bad('ports', `the hub cannot listen on ${name}: ${reason}`, cure)
  }
}

/** Whether something there answers as a hub does. */
async function isHub(address: ListenAddress, isTls: boolean, io: CommandIo): Promise<boolean> {
  const { url, init } = endpointAt(address, isTls)
  const signal = AbortSignal.timeout(PROBE_MS)
  const answer = await io.fetch(url, { ...init, redirect: 'manual', signal }).catch(() => null)
  if (answer === null || (answer.status !== 200 && answer.status !== 503)) return false
  return /^(not )?ready/.test(await answer.text().catch(() => ''))
}

const PROBE_MS = 3000

async function historyFindings({ settings }: Configuration, io: CommandIo): Promise<readonly Finding[]> {
  if (settings.transport === 'redis') return await serverFindings(settings)
  if (settings.transport !== 'sqlite')
    return [ok('history', `there is no file with the transport ${settings.transport}`)]
  return [await fileFinding(settings, io)]
}

/** The server that the history is on, as the hub looks at it before it starts. */
async function serverFindings(settings: Settings): Promise<readonly Finding[]> {
  try {
    const { server, problems, warnings } = await examineServer(
      serverOptions(settings),
      settings.history.maxBytes,
    )
    const found = [
      ...problems.map((problem) =>
        bad('history', `${server}: ${problem}`, 'docs/cluster.md says what it takes'),
      ),
      ...warnings.map((problem) =>
        warn('history', `${server}: ${problem}`, 'docs/cluster.md says what it means'),
      ),
    ]
    return found.length > 0 ? found : [ok('history', server)]
  } catch (error) {
    return [bad('history', messageOf(error), 'start the server, or mend the settings redis.*')]
  }
}

async function fileFinding(settings: Settings, io: CommandIo): Promise<Finding> {
  const { path } = settings.sqlite
  try {
    const { count, bytes, isHeld } = await examineHistory(path, () => io.sleep(0, io.interrupted))
    if (count === null) return ok('history', `${path} is not there yet and can be made`)
    const held = isHeld ? '; a hub is running on it' : ''
    return ok(
      'history',
      `${path}: ${countText(count, 'sound entry', 'sound entries')}, ${bytesText(bytes)}${held}`,
    )
  } catch (error) {
    if (!(error instanceof HistoryProblem)) throw error
    return bad(
      'history',
      messageOf(error),
      'run it as the user of the hub; docs/operating.md says how to restore',
    )
  }
}
