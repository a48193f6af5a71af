/**
 * Links of the pages as the site has them: in the repository they name files, so that they work there, and this makes addresses
 * out of them while a page is rendered.
 */
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { root } from './pages.mjs'
import { isExternal, isPublished, targetOf } from './targets.mjs'

const published = new Set()

/** A plugin of markdown-it. */
export function links(markdown) {
  markdown.core.ruler.push('memlane-links', ({ tokens, env }) => {
    if (env.path === undefined) return
    const from = relative(root, env.realPath ?? env.path).split(sep).join('/')
    for (const { type, children } of tokens) if (type === 'inline') rewrite(children, from)
  })
}

function rewrite(tokens, from) {
  const open = []
  for (const token of tokens) {
    if (token.type === 'link_open') open.push(rewriteOne(token, from))
    if (token.type === 'link_close') token.tag = open.pop()
  }
}

/** Makes one link the site's; returns the element that it is there. */
function rewriteOne(token, from) {
  const href = token.attrGet('href') ?? ''
  if (href === '' || href.startsWith('#') || isExternal(href)) return 'a'
  const { path, hash, site } = targetOf(from, href)
  if (site === undefined) {
    // A source file, which the site does not have: its name stands in the text.
    token.attrs = [['title', path]]
    token.tag = 'span'
    return 'span'
  }
  if (isPublished(path) && !path.endsWith('.md')) {
    published.add(path)
    token.attrSet('target', '_blank')
  }
  token.attrSet('href', site + (hash === undefined ? '' : `#${hash}`))
  return 'a'
}

/** Puts the files that pages hand out into the built site. */
export function publish(folder) {
  for (const path of published) {
    const copy = join(folder, path.replace(/^docs\//, ''))
    mkdirSync(dirname(copy), { recursive: true })
    copyFileSync(join(root, path), copy)
  }
}
