import type { Settings } from './checks.ts'
import { type Problem, problem } from './given.ts'

/** Features that the schema has a place for and this version lacks: the hub ignores none of them in silence. */

interface Later {
  readonly setting: string
  readonly what: string
  /** Whether a hub with this setting does not start; otherwise it starts without the feature. */
  readonly isRefused: boolean
  isAsked(settings: Settings): boolean
}

const later: readonly Later[] = [
  {
    setting: 'admin.console',
    what: 'the console',
    isRefused: false,
    isAsked: ({ admin }) => admin.console,
  },
]

/** The features that the settings ask for and that keep a hub from starting. */
export function refusedFeatures(settings: Settings): readonly Problem[] {
  return asked(settings, true)
}

/** The features that the settings ask for and that a hub goes without. */
export function missingFeatures(settings: Settings): readonly Problem[] {
  return asked(settings, false)
}

function asked(settings: Settings, isRefused: boolean): readonly Problem[] {
  return later
    .filter((one) => one.isRefused === isRefused && one.isAsked(settings))
    .map(({ setting, what }) => problem(setting, `${what} is not part of this version`))
}
