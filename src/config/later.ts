import type { Settings } from './checks.ts'
import { type Problem, problem } from './given.ts'

/** What the schema has a place for and this version does not do: none of it is ignored in silence. */

interface Later {
  readonly setting: string
  readonly what: string
  /** A hub does not start with it; one that is not refused goes without. */
  readonly isRefused: boolean
  isAsked(settings: Settings): boolean
}

const later: readonly Later[] = [
  {
    setting: 'transport',
    what: 'redis',
    isRefused: true,
    isAsked: ({ transport }) => transport === 'redis',
  },
  {
    setting: 'admin.console',
    what: 'the console',
    isRefused: false,
    isAsked: ({ admin }) => admin.console,
  },
]

/** What is asked for and keeps a hub from starting. */
export function refusedFeatures(settings: Settings): readonly Problem[] {
  return asked(settings, true)
}

/** What is asked for and a hub goes without. */
export function missingFeatures(settings: Settings): readonly Problem[] {
  return asked(settings, false)
}

function asked(settings: Settings, isRefused: boolean): readonly Problem[] {
  return later
    .filter((one) => one.isRefused === isRefused && one.isAsked(settings))
    .map(({ setting, what }) => problem(setting, `${what} is not part of this version`))
}
