import type { HubLocation } from '../../protocol/topic.ts'
import { HistoryProblem } from '../file.ts'
import { type Found, type Imported, importHistory } from '../import.ts'
import { bucketNames, type Pair, pairsOf } from './bucket.ts'
import { BoltFile } from './file.ts'
import { idIn, type Omission, parseStored, timeOf, toEntry } from './update.ts'

/** The place of the updates of another hub. */
export interface BoltSource {
  /** The path of its Bolt file. */
  readonly path: string
  readonly bucket: string
  /** The place of this hub: its own namespace holds no topic of an update. */
  readonly hub: HubLocation
}

/** The result of an import, with the number of updates that lost a part or were left out, by its reason. */
export interface BoltImported extends Imported {
  readonly omissions: ReadonlyMap<Omission, number>
}

/** The file has updates, and none in the bucket of this name. */
export class NoBucket extends HistoryProblem {
  readonly names: readonly string[]

  constructor(path: string, names: readonly string[]) {
    super(`${path} has no such bucket`)
    this.names = names
  }
}

/**
 * Stores the updates of another hub at the end of the history, in their order and with their ids. First it reads all
 * of them: a file that is in use or damaged, or holds anything but updates, leaves the history as it is. A page of the
 * file is in memory at a time, and another that looks ahead for times. Throws HistoryProblem.
 */
export async function importBolt(history: string, source: BoltSource): Promise<BoltImported> {
  const file = beforeStoring(() => new BoltFile(source.path))
  try {
    beforeStoring(() => refuseWrong(file, source))
    const omissions = new Map<Omission, number>()
    const omit = (reason: Omission) => omissions.set(reason, (omissions.get(reason) ?? 0) + 1)
    return { ...(await importHistory(history, updatesIn(file, source, omit))), omissions }
  } finally {
    file.close()
  }
}

function beforeStoring<T>(step: () => T): T {
  try {
    return step()
  } catch (error) {
    if (error instanceof NoBucket || !(error instanceof HistoryProblem)) throw error
    throw new HistoryProblem(`${error.message}; nothing was stored`, { cause: error })
  }
}

/** The first pass. */
function refuseWrong(file: BoltFile, { path, bucket }: BoltSource): void {
  const names = bucketNames(file)
  // A hub that nobody has published to has made no bucket yet.
  if (names.length > 0 && !names.includes(bucket)) throw new NoBucket(path, names)
  let number = 0
  for (const pair of pairsOf(file, bucket)) {
    number++
    if (parseStored(pair) === null) {
      throw new HistoryProblem(`${path} holds something else in place of update ${number}`)
    }
  }
  file.refuseChange()
}

/** The second pass. The file was sound a moment ago, and may lie on a disk that fails. */
function* updatesIn(
  file: BoltFile,
  { bucket, hub }: BoltSource,
  omit: (reason: Omission) => void,
): Generator<Found> {
  let number = 0
  try {
    const timeAt = timesOf(file, bucket)
    for (const pair of pairsOf(file, bucket)) {
      const place = `update ${++number}`
      yield { place, ...foundIn(pair, timeAt(pair), hub, omit) }
    }
    file.refuseChange()
  } catch (error) {
    if (!(error instanceof HistoryProblem)) throw error
    yield {
      place: `update ${number + 1}`,
      kind: 'wrong',
      reason: `could not be read, because ${error.message}`,
    }
  }
}

type Outcome =
  | Omit<Extract<Found, { kind: 'entry' }>, 'place'>
  | Omit<Extract<Found, { kind: 'left-out' | 'wrong' }>, 'place'>

function foundIn(pair: Pair, at: number, hub: HubLocation, omit: (reason: Omission) => void): Outcome {
  const update = parseStored(pair)
  if (update === null) return { kind: 'wrong', reason: 'is no update' }
  let last = ''
  const entry = toEntry(update, at, hub, (reason) => {
    last = reason
    omit(reason)
  })
  return entry === null ? { kind: 'left-out', reason: `is left out: ${last}` } : { kind: 'entry', entry }
}

/**
 * Tells the times of updates that are asked for in the order of the log, in milliseconds since the epoch. An id that
 * holds no time has the time of the next one that does, since no update is younger than those after it, and without
 * any that of the file. So retention never takes an update for older than it is. Times only rise along the log, up to
 * that of the file: an id of a publisher's own may hold any time.
 */
function timesOf(file: BoltFile, bucket: string): (pair: Pair) => number {
  const ahead = timedKeys(file, bucket)
  let next = ahead.next()
  let newest = 0
  return ({ key }) => {
    while (next.done !== true && Buffer.compare(next.value.key, key) < 0) next = ahead.next()
    const at = next.done === true ? file.modifiedAt : next.value.at
    newest = Math.max(newest, Math.min(at, file.modifiedAt))
    return newest
  }
}

function* timedKeys(
  file: BoltFile,
  bucket: string,
): Generator<{ readonly key: Buffer; readonly at: number }> {
  for (const { key } of pairsOf(file, bucket)) {
    const at = timeOf(idIn(key))
    if (at !== null) yield { key, at }
  }
}
