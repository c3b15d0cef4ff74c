import type { Log } from '../telemetry/log.ts'
import type { Notice } from '../transport/notice.ts'

/** Writes what a log has to say to the operator. */
export function noticeWriter(log: Log): (notice: Notice) => void {
  return (notice) => {
    switch (notice.kind) {
      case 'clock-set':
        log.warn('the clock of the machine was set: the history keeps the age of its updates', {
          seconds: Math.round(notice.ms / 1000),
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
