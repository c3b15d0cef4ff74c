/** An event of a log that an operator should hear of. */
export type Notice =
  /** The wall clock was set, by `ms` milliseconds. */
  | { readonly kind: 'clock-set'; readonly ms: number }
  /** The log can be neither read nor written any more: somebody took its file away. */
  | { readonly kind: 'lost'; readonly problem: string }
  /** The reader came to a place that is not as the hub wrote it: the stream of a subscriber who gets there ends. */
  | { readonly kind: 'damaged'; readonly problem: string }
  /**
   * Another program reads the file for so long that the journal, of `bytes` by now, cannot be emptied; `isHeld` is false
   * when it was emptied again.
   */
  | { readonly kind: 'journal'; readonly isHeld: boolean; readonly bytes: number }
  /** The file of the log has `count` names, where it should have one. */
  | { readonly kind: 'names'; readonly count: number }
  /** The server of the log cannot be reached, or is another one now. */
  | { readonly kind: 'away'; readonly problem: string }
  /** The log is there again, `ms` milliseconds later. */
  | { readonly kind: 'back'; readonly ms: number }
  /** The log has lost what was accepted, or went on without this node for too long: every stream ends. */
  | { readonly kind: 'behind' }
  /** The log had other limits, by their names, before this node applied its own. */
  | { readonly kind: 'limits'; readonly names: readonly string[] }
  /** The machine slept for `ms` milliseconds. */
  | { readonly kind: 'slept'; readonly ms: number }
