/** A new id, for an update or a subscriber. */
export function newId(): string {
  return `urn:uuid:${crypto.randomUUID()}`
}
