import { defineConfig } from 'vitepress'
import { slugOf } from '../../scripts/site/slug.ts'
import { searchBox } from './search-box.ts'

const link = (text: string, page: string) => ({ text, link: `/${page}` })

export default defineConfig({
  title: 'cinnabar',
  description: 'A Mercure hub in one executable, with a bounded past.',
  srcDir: 'pages',
  outDir: '../dist/site',
  // The folder below the host, where the site is not at its root.
  base: process.env['SITE_BASE'] ?? '/',
  // A host that serves files needs no rules for names without an end.
  cleanUrls: false,
  metaChunk: true,
  markdown: {
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    anchor: { slugify: slugOf },
    config: (markdown) => {
      // A wide table is scrolled, and by the keyboard too.
      markdown.renderer.rules['table_open'] = () => '<table tabindex="0">\n'
      // Markdown has no table without a head: a column without a name has no heading.
      markdown.core.ruler.push('headless', ({ tokens }) => {
        for (const [at, token] of tokens.entries()) {
          if (token.type !== 'th_open' || tokens[at + 1]?.content !== '') continue
          for (const edge of [token, tokens[at + 2]]) if (edge !== undefined) edge.tag = 'td'
        }
      })
    },
  },
  vite: { plugins: [searchBox()] },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [link('Start', 'start'), link('Configuration', 'configuration'), link('HTTP', 'http')],
    sidebar: [
      {
        text: 'Begin',
        items: [
          link('Start', 'start'),
          link('Installing', 'installing'),
          link('Concepts', 'concepts'),
          link('Tokens', 'tokens'),
          link('Browsers', 'browser'),
          link('Recipes', 'recipes'),
          link('Moving in', 'moving-in'),
        ],
      },
      {
        text: 'Run',
        items: [
          link('Production', 'production'),
          link('Operating', 'operating'),
          link('Several hubs', 'cluster'),
          link('Troubleshooting', 'troubleshooting'),
          link('Memory and history', 'memory-and-history'),
          link('Monitoring', 'monitoring'),
          link('The console', 'console'),
          link('Traces', 'traces'),
          link('Files for proxies and clusters', 'deploy'),
        ],
      },
      {
        text: 'Look up',
        items: [
          link('Configuration', 'configuration'),
          link('Commands', 'commands'),
          link('HTTP', 'http'),
          link('Metrics', 'metrics'),
          link('The 0.x generation', 'legacy'),
          link('Conformance', 'conformance'),
          link('Performance', 'performance'),
        ],
      },
      {
        text: 'The project',
        items: [
          link('Changes', 'changes'),
          link('Security', 'security'),
          link('Architecture', 'architecture'),
          link('Contributing', 'contributing'),
        ],
      },
    ],
  },
})
