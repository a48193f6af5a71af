/**
 * Links of the built site: every page, picture, script and anchor that its HTML names is in it, and nothing is fetched from
 * elsewhere to show it.
 */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join, posix, relative, sep } from 'node:path'
import { isExternal } from './targets.mjs'

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
const decoded = (text) => text.replaceAll(/&(amp|lt|gt|quot|#39);/g, (_, name) => ENTITIES[name])
const attributes = (html, names) => [...html.matchAll(new RegExp(`<(\\w+)[^>]*?\\s(${names})="([^"]*)"`, 'g'))].map(([, tag, name, value]) => ({ tag, name, value: decoded(value) }))

const filesBelow = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join('/'))

/** What is wrong with the site in `folder` that is to be served below `base`, a line for each. */
export function checkSite(folder, base) {
  const files = filesBelow(folder)
  const pages = new Map(files.filter((file) => file.endsWith('.html')).map((file) => [file, readFileSync(join(folder, file), 'utf8')]))
  const ids = new Map([...pages].map(([file, html]) => [file, new Set(attributes(html, 'id').map(({ value }) => value))]))
  const problems = []
  let links = 0
  for (const [file, html] of pages) {
    for (const { tag, name, value } of attributes(html, 'href|src')) {
      links += 1
      const wrong = isExternal(value) ? foreign(tag, name, value) : missing(file, value)
      if (wrong !== undefined) problems.push(`${file}: ${value}: ${wrong}`)
    }
  }
  for (const file of files.filter((name) => name.endsWith('.css'))) {
    for (const [, url] of readFileSync(join(folder, file), 'utf8').matchAll(/url\(["']?((?:https?:)?\/\/[^)"']+)/g)) problems.push(`${file}: ${url}: fetched from elsewhere`)
  }
  return { pages: pages.size, links, problems: [...new Set(problems)] }

  function missing(file, value) {
    const [path, hash] = value.split('#')
    const bare = decodeURIComponent(path.split('?')[0])
    if (bare.startsWith('/') && !bare.startsWith(base)) return `not below ${base}`
    const place = bare === '' ? file : bare.startsWith('/') ? bare.slice(base.length) : posix.join(posix.dirname(file), bare)
    const target = place === '' || place.endsWith('/') ? `${place}index.html` : place
    if (!existsSync(join(folder, target)) || !statSync(join(folder, target)).isFile()) return 'no such page or file in the site'
    if (hash === undefined || hash === '' || !pages.has(target)) return undefined
    return ids.get(target).has(decodeURIComponent(hash)) ? undefined : `no #${hash} in ${target}`
  }
}

/** A link elsewhere is for the reader to follow; whatever the browser follows by itself is to be had here. */
function foreign(tag, name, value) {
  if (value.startsWith('data:') || (tag === 'a' && name === 'href')) return undefined
  return `<${tag}> is fetched from elsewhere`
}
