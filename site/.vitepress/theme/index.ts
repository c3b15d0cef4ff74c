import { withBase } from 'vitepress'
import theme from 'vitepress/theme'
import { h } from 'vue'
import './colours.css'

/** The page for an address that has none. */
const lost = () =>
  h('main', { class: 'lost vp-doc' }, [
    h('h1', 'There is no such page'),
    h('p', [
      'It may have moved: search for it, or begin at the ',
      h('a', { href: withBase('/') }, 'first page'),
      '.',
    ]),
  ])

export default { extends: theme, Layout: () => h(theme.Layout, null, { 'not-found': lost }) }
