import type { Arguments } from '../command/arguments.ts'
import { UsageError } from '../command/command.ts'
import { quoted } from '../command/printable.ts'
import { ProtocolError } from '../protocol/error.ts'
import { type Matcher, parseMatcher } from '../protocol/matcher.ts'
import type { HubLocation } from '../protocol/topic.ts'

/** The values of an option as matchers of the type. Throws a `UsageError` that shows the one that a hub refuses. */
export function matchersIn(
  args: Arguments,
  option: string,
  type: string,
  hub: HubLocation,
): readonly Matcher[] {
  return args.values(option).map((pattern) => {
    try {
      return parseMatcher(type, pattern, hub)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      throw new UsageError(`--${option} ${quoted(pattern)} is refused by the hub: ${error.message}`)
    }
  })
}
