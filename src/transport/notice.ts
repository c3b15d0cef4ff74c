/** What an operator should hear of a log. */
export type Notice =
  /** The wall clock was set, by so many milliseconds. */
  | { readonly kind: 'clock-set'; readonly ms: number }
  /** The log can be neither read nor written any more: somebody took its file away. */
  | { readonly kind: 'lost'; readonly problem: string }
  /** Reading came to a place that is not what was written there: whoever reads that far ends. */
  | { readonly kind: 'damaged'; readonly problem: string }
  /** The file of the log has so many names, where it should have one. */
  | { readonly kind: 'names'; readonly count: number }
  /** The machine slept for so many milliseconds. */
  | { readonly kind: 'slept'; readonly ms: number }
