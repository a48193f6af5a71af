/** The anchor that GitHub gives a heading: one link then leads to it in the repository and in the site. */
export function slug(heading) {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replaceAll(' ', '-')
}

/** Anchors of one page in their order: a heading that comes again gets `-1`, `-2`, … */
export function slugger() {
  const seen = new Map()
  return (heading) => {
    const first = slug(heading)
    let anchor = first
    while (seen.has(anchor)) {
      const next = seen.get(first) + 1
      seen.set(first, next)
      anchor = `${first}-${next}`
    }
    seen.set(anchor, 0)
    return anchor
  }
}
