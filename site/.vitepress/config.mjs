import process from 'node:process'
import { defineConfig } from 'vitepress'
import { links, publish } from '../links.mjs'
import { addressOf, navigation, pages, sidebar } from '../pages.mjs'
import { slug } from '../slug.mjs'

const base = process.env.MEMLANE_SITE_BASE ?? '/'
const listed = pages()

/** Frames in hexadecimal (docs/protocol.md) are no language that anybody colours. */
function plainHex(markdown) {
  markdown.core.ruler.push('memlane-hex', ({ tokens }) => {
    for (const token of tokens) if (token.type === 'fence' && token.info.startsWith('hex ')) token.info = 'text'
  })
}

/**
 * Pages are compiled where they lie, and the packages of the site are not above them. While they are rendered there must be one Vue
 * all the same, the one that VitePress itself imports: it stays an import, and is found from the site's folder.
 */
const oneVue = {
  name: 'memlane-one-vue',
  enforce: 'pre',
  resolveId: (id, _importer, { ssr }) => (ssr && /^vue(\/|$)/.test(id) ? { id, external: true } : null),
}

export default defineConfig({
  title: 'memlane',
  description: "Read and write another process's memory over TCP in one await, while its JavaScript does not run at all",
  lang: 'en',
  base,
  srcDir: '..',
  // What is no page must not be looked for in: a clone that was built has many thousands of files.
  srcExclude: ['target/**', 'build/**', 'crates/**', 'npm/**', 'site/**', '**/target/**', ...['bench', 'stress', 'suites', 'examples'].map((folder) => `${folder}/**/!(README).md`)],
  rewrites: Object.fromEntries(listed.map((path) => [path, addressOf(path)])),
  outDir: '../build/site',
  cacheDir: '../build/site-cache',
  head: [
    ['link', { rel: 'icon', href: "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path d='M2 13V3l6 6 6-6v10' fill='none' stroke='%232a78d6' stroke-width='2.4'/></svg>" }],
  ],
  markdown: {
    anchor: { slugify: slug },
    // Braces and colons in our texts are code, not attributes and pictures.
    attrs: { disable: true },
    emoji: { enabled: [] },
    config: (markdown) => void markdown.use(links).use(plainHex),
  },
  vite: {
    build: { assetsInlineLimit: 0, chunkSizeWarningLimit: 2000 },
    server: { host: '127.0.0.1' },
    plugins: [oneVue],
  },
  themeConfig: {
    nav: navigation(),
    sidebar: sidebar(),
    outline: { level: [2, 3] },
    search: { provider: 'local' },
    externalLinkIcon: true,
  },
  buildEnd: ({ outDir }) => publish(outDir),
})
