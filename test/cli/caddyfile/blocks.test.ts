import { describe, expect, test } from 'bun:test'
import { type Directive, parseBlocks, parseLines } from '../../../src/cli/caddyfile/blocks.ts'

/** A directive as one text: `name arg arg { inner; inner }`. */
const shown = ({ name, args, block }: Directive): string => {
  const inner = block === null ? '' : ` { ${block.map(shown).join('; ')} }`
  return `${[name, ...args].join(' ')}${inner}`
}
const blocks = (text: string) => parseBlocks(text).map(shown)

describe('the blocks of a Caddyfile', () => {
  test('open at the end of a line and close on a line of their own', () => {
    expect(blocks('site {\n a 1\n b {\n  c\n }\n}')).toEqual(['site { a 1; b { c } }'])
    expect(blocks('{\n debug\n}\nsite {\n}')).toEqual([' { debug }', 'site {  }'])
  })

  test('a file of one site may go without braces, whatever stands before the site', () => {
    expect(blocks('localhost\n\nmercure {\n anonymous\n}\nrespond 404')).toEqual([
      'localhost { mercure { anonymous }; respond 404 }',
    ])
    expect(blocks('{\n debug\n}\n(log) {\n log\n}\nlocalhost\nimport log\nmercure')).toEqual([
      ' { debug }',
      'localhost { log; mercure }',
    ])
  })

  test('snippets are put in where they are imported, also within each other', () => {
    const text =
      '(keys) {\n a 1\n import more\n}\n(more) {\n b 2\n}\nsite {\n mercure {\n  import keys\n }\n}'
    expect(blocks(text)).toEqual(['site { mercure { a 1; b 2 } }'])
  })

  test('an import of a file, and one with a block, stay as they are written', () => {
    expect(blocks('(a) {\n b\n}\nsite {\n import *.conf\n import a {\n  c\n }\n}')).toEqual([
      'site { import *.conf; import a { c } }',
    ])
  })

  test('a snippet has the arguments of its import; a place without one stays', () => {
    const text =
      '(a) {\n b {args[1]} {args.0}x {args[2]} {\n  {args[:]}\n  e {args[1:]}\n }\n}\nsite {\n import a 1 2\n}'
    expect(blocks(text)).toEqual(['site { b 2 1x {args[2]} { 1 2; e 2 } }'])
  })

  test('arguments that double at each step are refused, and so is a second snippet of a name', () => {
    const doubling = Array.from(
      { length: 40 },
      (_, i) => `(s${i}) {\n import s${i + 1} {args[0]}{args[0]}\n}`,
    )
    expect(() => blocks(`${doubling.join('\n')}\n(s40) {\n a\n}\nsite {\n import s0 x\n}`)).toThrow(
      'too often',
    )
    expect(() => blocks('(a) {\n b\n}\n(a) {\n c\n}\nsite {\n}')).toThrow(
      'line 4: a snippet has the name of another',
    )
  })

  test('the addresses of a site may end with commas and go on in the next line', () => {
    expect(blocks('a.example,\nb.example, c.example,\n:80 {\n d\n}')).toEqual([
      'a.example, b.example, c.example, :80 { d }',
    ])
  })

  test('snippets that import themselves, or double at each step, are refused', () => {
    expect(() => blocks('(a) {\n import a\n}\nsite {\n import a\n}')).toThrow('too often')
    const doubling = Array.from(
      { length: 40 },
      (_, i) => `(s${i}) {\n import s${i + 1}\n import s${i + 1}\n}`,
    )
    expect(() => blocks(`${doubling.join('\n')}\n(s40) {\n a\n}\nsite {\n import s0\n}`)).toThrow('too often')
  })

  test('braces that do not fit are refused with their line', () => {
    expect(() => blocks('site {\n a')).toThrow('line 1: a brace is not closed')
    expect(() => blocks('site {\n}\n}')).toThrow('line 3: a brace closes nothing')
    expect(() => blocks('site {\n} more')).toThrow('line 2: more follows a closing brace')
    expect(() => blocks('site { a }')).toThrow('line 1: a brace stands within a line')
    expect(() => blocks(`${'a {\n'.repeat(60)}${'}\n'.repeat(60)}`)).toThrow('too many blocks')
  })

  test('lines alone need no site', () => {
    expect(parseLines('anonymous\ntransport bolt {\n size 1\n}').map(shown)).toEqual([
      'anonymous',
      'transport bolt { size 1 }',
    ])
  })
})
