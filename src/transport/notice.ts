/** What an operator should hear of a log. */
export type Notice =
  /** The wall clock was set, by so many milliseconds. */
  | { readonly kind: 'clock-set'; readonly ms: number }
  /** The machine slept for so many milliseconds. */
  | { readonly kind: 'slept'; readonly ms: number }
