import { tokenFor } from './tokens.ts'

/** The fields of a publication in order; a list repeats the field. */
export type PublishFields = Readonly<Record<string, string | readonly string[]>>

/** Posts a publication and answers with the response, whatever it is. */
export async function post(url: string, fields: PublishFields, token?: string): Promise<Response> {
  const body = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) {
    for (const one of typeof value === 'string' ? [value] : value) body.append(name, one)
  }
  const authorization = `Bearer ${token ?? (await publisherToken())}`
  return await fetch(url, { method: 'POST', body, headers: { authorization } })
}

/** Publishes and answers with the id. Rejects when the hub refuses. */
export async function publish(url: string, fields: PublishFields, token?: string): Promise<string> {
  const response = await post(url, fields, token)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`publishing was answered ${response.status}: ${text}`)
  return text
}

let known: Promise<string> | null = null

/** A token that may publish anything. */
export function publisherToken(): Promise<string> {
  known ??= tokenFor({ publish: ['*'] })
  return known
}
