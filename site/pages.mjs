/** Which files of the repository are pages of the site, where each of them is there, and in which order they are listed. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The sidebar. A group has pages by their files, `folder/` for those of a folder that are not named before it. */
const GROUPS = [
  { text: 'Start', pages: ['README.md', 'docs/getting-started.md', 'docs/concepts.md'] },
  {
    text: 'Command line',
    pages: [...['README', 'demo', 'serve', 'pull', 'bench', 'ping', 'inspect'].map((name) => `docs/cli/${name}.md`), 'docs/cli/'],
  },
  {
    text: 'Guide',
    pages: ['usage', 'tensors', 'recipes', 'directory', 'security', 'operations', 'errors', 'metrics', 'diagnostics'].map((name) => `docs/${name}.md`),
  },
  { text: 'Speed', pages: ['performance', 'tuning', 'long-roads', 'scale', 'comparison'].map((name) => `docs/${name}.md`) },
  { text: 'Design', pages: ['guarantees', 'protocol', 'lifecycle', 'architecture'].map((name) => `docs/${name}.md`) },
  { text: 'API', pages: ['docs/api/README.md', 'docs/api/memlane.md', 'docs/api/redis.md', 'docs/api/'] },
  { text: 'Examples', pages: ['examples/README.md', 'examples/'] },
  { text: 'Project', pages: ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'bench/README.md', 'stress/README.md', 'suites/'], collapsed: true },
]

/** What a page is called in the sidebar where its own title says too little there. */
const TITLES = {
  'README.md': 'Overview',
  'docs/api/README.md': 'Modules',
  'docs/api/redis.md': 'memlane/redis',
  'docs/security.md': 'Security',
  'SECURITY.md': 'Security policy',
}

/** Addresses that do not follow from the file's: beside docs/security.md there must be no second `security`. */
const ADDRESSES = { 'SECURITY.md': 'security-policy.md' }

/** Folders below which every Markdown file is a page, or every README.md. */
const FOLDERS = { docs: /\.md$/, examples: /(^|\/)README\.md$/, suites: /(^|\/)README\.md$/ }
const SINGLE = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'bench/README.md', 'stress/README.md']

function below(folder, names) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : below(path, names)
    return names.test(path) ? [path] : []
  })
}

/** The files that are pages, by their paths in the repository. */
export const pages = () => [...SINGLE, ...Object.entries(FOLDERS).flatMap(([folder, names]) => below(folder, names))].filter((path) => existsSync(join(root, path)))

/** All documents whose links are looked at: the pages, and what only the repository shows. */
export const documents = () => [...pages(), ...['npm', 'crates'].flatMap((folder) => below(folder, /(^|\/)README\.md$/))]

/** Where a page is in the site, as the path of a Markdown file: `docs/cli/README.md` is `cli/index.md`. */
export function addressOf(path) {
  const address = ADDRESSES[path] ?? path.replace(/^docs\//, '').replace(/(^|\/)README\.md$/, '$1index.md')
  return /^[A-Z]+\.md$/.test(address) ? address.toLowerCase() : address
}

/** What the page calls itself: its first heading, without what Markdown marks there. */
function titleOf(path) {
  const [, title] = /^# (.+)$/m.exec(readFileSync(join(root, path), 'utf8')) ?? []
  if (title === undefined) throw new Error(`${path}:1: a page without a heading of the first level has no title`)
  return TITLES[path] ?? title.replaceAll(/[`*]/g, '')
}

/** The sidebar as VitePress takes it. A page that has no place in it is an error: nobody would find it. */
export function sidebar() {
  const left = new Set(pages())
  const take = (path) => left.delete(path)
  const groups = GROUPS.map(({ text, pages: listed, collapsed }) => {
    const paths = listed.flatMap((path) => (path.endsWith('/') ? [...left].filter((page) => page.startsWith(path)).sort() : [path])).filter(take)
    const items = paths.map((path) => ({ text: titleOf(path), link: `/${addressOf(path)}` }))
    return { text, items, ...(collapsed === undefined ? {} : { collapsed }) }
  })
  if (left.size > 0) throw new Error(`${[...left][0]}:1: the page has no place in the sidebar; give it one in site/pages.mjs`)
  return groups.filter(({ items }) => items.length > 0)
}

/** The first of these pages that is there, as a link of the bar at the top. */
export const navigation = () =>
  [
    ['Getting started', 'docs/getting-started.md'],
    ['Concepts', 'docs/concepts.md'],
    ['Command line', 'docs/cli/README.md'],
    ['API', 'docs/api/README.md'],
    ['Examples', 'examples/README.md'],
    ['Performance', 'docs/performance.md'],
  ]
    .filter(([, path]) => existsSync(join(root, path)))
    .map(([text, path]) => ({ text, link: `/${addressOf(path)}` }))
