/** What a link in a Markdown file of the repository leads to, in the repository and in the site. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { addressOf, pages, root } from './pages.mjs'

/** Whether the link leaves the repository: it has a scheme, or a host. */
export const isExternal = (href) => /^[a-z][a-z\d+.-]*:/i.test(href) || href.startsWith('//')

const known = new Set(pages())

/** Where the repository is shown, if its package says so. */
function repository() {
  const { repository: where } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const url = (typeof where === 'string' ? where : where?.url)?.replace(/^git\+/, '').replace(/\.git$/, '')
  return url?.startsWith('https://') ? `${url}/blob/HEAD/` : undefined
}
const shownAt = repository()

/**
 * What `href` in the file `from` means: `path` in the repository and `hash`, and `site`, what it is in the site: the address of a page
 * or of a file that is published with it. Files that are not published have none, unless the repository is shown somewhere.
 */
export function targetOf(from, href) {
  const [, place, , hash] = /^([^?#]*)(\?[^#]*)?(?:#(.*))?$/s.exec(href)
  const path = place === '' ? from : posix.normalize(posix.join(posix.dirname(from), decodeURIComponent(place))).replace(/\/$/, '')
  return { path, hash: hash === undefined ? undefined : decodeURIComponent(hash), site: siteOf(path) }
}

function siteOf(path) {
  const page = [path, `${path}/README.md`].find((candidate) => known.has(candidate))
  if (page !== undefined) return `/${addressOf(page)}`
  if (isPublished(path)) return `/${path.replace(/^docs\//, '')}`
  return shownAt === undefined ? undefined : `${shownAt}${path}`
}

/** Files beside the pages that a page may hand out: a dashboard, the figures of a run. */
export const isPublished = (path) => path.startsWith('docs/') && existsSync(join(root, path)) && statSync(join(root, path)).isFile()
