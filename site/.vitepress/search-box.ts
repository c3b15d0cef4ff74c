import type { Plugin } from 'vitepress'

/**
 * Mends the roles of VitePress 1.6.4's search box while it is built: its frame is called a button although it holds a
 * field and links, and its results are options with links in them. A text that is no longer there ends the build, so that
 * an upgrade tells what has changed.
 */
export function searchBox(): Plugin {
  return {
    name: 'search-box',
    enforce: 'pre',
    transform: (code, id) => (id.endsWith('/VPLocalSearchBox.vue') ? mended(code) : null),
  }
}

const edits: readonly (readonly [from: RegExp, to: string])[] = [
  [/role="button"\s+:aria-owns="[^"]*"\s+aria-expanded="true"\s+aria-haspopup="listbox"/, 'role="dialog"'],
  [/:id="'localsearch-item-' \+ index"\s+:aria-selected="[^"]*"\s+role="option"/, 'role="presentation"'],
  [
    /:aria-label="\[\.\.\.p\.titles, p\.title\]\.join\(' > '\)"/,
    `:id="'localsearch-item-' + index" :aria-selected="selectedIndex === index ? 'true' : 'false'" role="option"`,
  ],
  [/<kbd (?=:aria-label)/g, '<kbd role="img" '],
]

function mended(code: string): string {
  let text = code
  for (const [from, to] of edits) {
    if (!from.test(text))
      throw new Error(`VPLocalSearchBox.vue has no ${from.source}: look at its roles again`)
    text = text.replace(from, to)
  }
  return text
}
