import { type Announcement, subscriptionUpdate } from '../../protocol/subscription.ts'
import { firstOf, type Generation } from './generation.ts'

/** Each subscription is told of by the generation in whose way it was made. */
export function announcementOf(generations: readonly Generation[]): Announcement {
  if (generations.length === 0) return subscriptionUpdate
  return (...about) =>
    firstOf(generations, (generation) => generation.announce(...about)) ?? subscriptionUpdate(...about)
}
