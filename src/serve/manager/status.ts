/** The figures that `systemctl status` shows of a hub. */
export interface Figures {
  readonly subscribers: number
  /** Kept updates, and their bytes as retention counts them; null while the store cannot say. */
  readonly history: { readonly rows: number; readonly bytes: number } | null
  /** Why the hub does not work now, or null. */
  readonly problem: string | null
}

/** The figures in one line. */
export function statusText({ subscribers, history, problem }: Figures): string {
  const past =
    history === null
      ? 'history unknown'
      : `history ${many(history.rows, 'update')}, ${mebibytes(history.bytes)}`
  const text = `${many(subscribers, 'subscriber')}, ${past}`
  // The manager takes a line break for the end of the status.
  return (problem === null ? text : `${problem}; ${text}`).replace(/\s+/g, ' ')
}

/** A number of things in words. */
export function many(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}
