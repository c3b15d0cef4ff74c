/** The value of a metric in the text of `/metrics`, by its whole name, labels included; NaN when it is not there. */
export function metricOf(text: string, name: string): number {
  const at = text.startsWith(`${name} `) ? 0 : text.indexOf(`\n${name} `) + 1
  if (at === 0 && !text.startsWith(`${name} `)) return Number.NaN
  return Number.parseFloat(text.slice(at + name.length + 1))
}

/** One value of the metrics of an admin listener, by its URL. Rejects when there is no such metric. */
export async function fetchMetric(adminUrl: string, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text()
  const value = metricOf(text, name)
  if (Number.isNaN(value)) throw new Error(`no metric ${name}`)
  return value
}
