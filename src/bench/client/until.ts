/** Looks again, a little later each time, until the condition holds. Rejects after `ms`, and names the condition. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 20_000,
): Promise<void> {
  const end = performance.now() + ms
  for (let pause = 5; ; pause = Math.min(100, pause * 1.5)) {
    if (await condition()) return
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`)
    await Bun.sleep(pause)
  }
}
