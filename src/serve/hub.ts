import type { Settings } from '../config/load.ts'
import type { HubEvent } from '../hub/event.ts'
import { Hub } from '../hub/hub.ts'
import { SLICE_MS } from '../hub/loop.ts'
import type { Witness } from '../hub/witness.ts'
import type { HubLocation } from '../protocol/topic.ts'
import { announcementOf } from './generations/announcement.ts'
import type { Generation } from './generations/generation.ts'
import { newId } from './ids.ts'
import { processLoop } from './loop.ts'
import type { Store } from './store/store.ts'

/** The hub of the settings, before its log is opened. `observe` hears what happens. */
export function makeHub(
  settings: Settings,
  { transport, presence }: Store,
  location: HubLocation,
  generations: readonly Generation[],
  observe: (event: HubEvent) => void,
  witness: Witness | null,
): Hub {
  return new Hub({
    transport,
    presence,
    location,
    loop: processLoop,
    newId,
    observe,
    witness,
    announce: announcementOf(generations),
    presenceGraceMs: settings.hub.presenceGrace,
    // The runtime frees at once the memory that the hub has given up, so that the next look sees it: about 20 ms, and
    // only under pressure.
    // Left to itself the collector frees too little to matter.
    collectGarbage: () => Bun.gc(true),
    limits: {
      memoryBytes: settings.limits.memory,
      sliceMs: SLICE_MS,
      pendingBytes: 16 * 1024 * 1024,
      remembered: 100_000,
      pageEntries: 500,
      pageBytes: 256 * 1024,
    },
  })
}
