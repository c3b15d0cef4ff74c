/** The body of a refusal without its last line, which names the request. Throws when that line is missing. */
export function unnamed(body: string): string {
  const [, text, name] = /^(.*\n)request ([0-9A-Za-z._:+/=@-]+)\n$/s.exec(body) ?? []
  if (text === undefined || name === undefined) throw new Error(`the body names no request: ${body}`)
  return text
}
