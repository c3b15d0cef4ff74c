/**
 * The samples of a page of docs/. A fenced block says after its language how it is run:
 *
 *   sh run            lines of a shell; they must end with 0
 *   sh fails          the same, but they must not end with 0
 *   sh start=3000     a program that goes on until the end of the page; its port answers when it is ready
 *   sh follow         a reader of the hub, which goes on; it is ready when the hub counts it
 *   toml file=NAME    is written to the folder of the page; any language
 *   js page           a script of the page that the browser shows
 *   text prints       what the run, or the reader, before it has printed; `…` stands for anything
 *   toml checks       a part of a configuration, in which `"…"` stands for a secret; `cinnabar check` finds it valid
 *   sh by=FILE        is run by this test, at places that the samples of a page cannot have
 *   sh parses         changes a whole machine, measures for minutes, or belongs into a framework that is not here: its
 *                     language reads it
 *
 * `needs=PROGRAM` after it, or `needs=FILE`, names what is not everywhere: without it the sample is skipped. An HTML comment that begins in the same
 * way is a sample that readers of the page do not see: `<!-- sh run` and its lines, or `<!-- js steps` for steps of the
 * test with `browser()`, which resolves with the page of a browser, `until`, `expect` and `run`.
 */
export interface Sample {
  readonly language: string
  readonly mode: string
  /** The value of the mode, such as the name of a file, or empty. */
  readonly value: string
  /** The program or the file without which the sample cannot be run, or null. */
  readonly needs: string | null
  readonly text: string
  readonly line: number
  /** The heading above it. */
  readonly heading: string
}

/** Takes a page apart. Blocks without a mode have an empty one. */
export function samplesOf(markdown: string): readonly Sample[] {
  const samples: Sample[] = []
  let heading = ''
  let line = 1
  for (const [whole, title, indent = '', info, fenced, hiddenInfo, hidden] of markdown.matchAll(pieces)) {
    if (title !== undefined) heading = title
    const text = fenced?.replaceAll(new RegExp(`^${indent}`, 'gm'), '') ?? hidden
    if (text !== undefined) samples.push({ ...described(info ?? hiddenInfo ?? ''), text, line, heading })
    line += whole.split('\n').length - 1
  }
  return samples
}

// A heading, a fenced block, a comment that is a sample, or any other line.
const pieces =
  /^#+ (.*)\n|^( *)```(.*)\n((?:.*\n)*?) *```\n|^<!-- ((?:sh|js) .*)\n((?:.*\n)*?)-->\n|^.*(?:\n|$)/gm

function described(info: string): Omit<Sample, 'text' | 'line' | 'heading'> {
  const [language = '', ...words] = info.trim().split(/\s+/)
  const parts = words.map((word) => /^([^=]*)(?:=(.*))?$/.exec(word))
  const needs = parts.find((part) => part?.[1] === 'needs')?.[2] ?? null
  const [, mode = '', value = ''] = parts.find((part) => part?.[1] !== 'needs') ?? []
  return { language, mode, value, needs }
}
