import type { EventLog, Log } from '../telemetry/log.ts'
import type { Notice } from '../transport/notice.ts'

/** Writes the notices of a history to the operator's log. */
export function noticeWriter(log: Log, events: EventLog): (notice: Notice) => void {
  return (notice) => {
    switch (notice.kind) {
      case 'clock-set':
        log.warn('the clock of the machine was set: the history keeps the age of its updates', {
          seconds: Math.round(notice.ms / 1000),
        })
        break
      case 'lost':
        events.publishingFails(notice.problem)
        break
      case 'damaged':
        log.error('replays end early: cinnabar history export --salvage saves what can be read', {
          problem: notice.problem,
        })
        break
      case 'journal':
        if (notice.isHeld) {
          log.warn(
            'another program reads the history file, such as a backup: the journal grows until it ends, beyond history.max_bytes',
            { journal_bytes: notice.bytes },
          )
        } else log.info('the journal of the history was emptied again', { journal_bytes: notice.bytes })
        break
      case 'names':
        log.warn(
          'the history file has other names (hard links): never start a hub by one of those, it would miss the journal',
          { names: notice.count },
        )
        break
      case 'away':
        log.error('the server of the history is away', { problem: notice.problem })
        break
      case 'back':
        log.info('the server of the history is back', { ms: notice.ms })
        break
      case 'behind':
        log.error('updates were lost, or came too fast: every stream ends and its reader is told')
        break
      case 'limits':
        log.warn('the history had other limits: those of this node hold now, for all nodes', {
          settings: notice.names.map((name) => `history.${name}`).join(' '),
        })
        break
      case 'slept':
        log.info('the machine slept', { seconds: Math.round(notice.ms / 1000) })
        break
      default:
        notice satisfies never
    }
  }
}
