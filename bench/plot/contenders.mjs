/**
 * Who is who in a picture: a family has a colour and a mark, so that neither has to be told apart alone.
 * The colours differ also for those who see no red, no green or no blue, and are read as text on either ground.
 */

export const FAMILIES = {
  memlane: { title: 'memlane', mark: 'circle', light: '#0a5fc4', dark: '#58a6ff' },
  machine: { title: 'bare sockets', mark: 'square', light: '#3d444d', dark: '#c9d1d9' },
  script: { title: 'Node.js', mark: 'triangle', light: '#c25100', dark: '#f0883e' },
  engine: { title: 'native engines', mark: 'diamond', light: '#00866b', dark: '#2fbf8f' },
}

const OF = {
  memlane: 'memlane',
  raw: 'machine',
  'raw-64k': 'machine',
  iperf3: 'machine',
  'node-net': 'script',
  ipc: 'script',
  zeromq: 'script',
  grpc: 'script',
  redis: 'script',
}

export const baseOf = (id) => id.split(':')[0]

export const familyOf = ({ id }) => OF[baseOf(id)] ?? 'engine'

/** Names and versions of the contenders of some rows, as a caption says them; those without a version of their own are left out. */
export function versionsOf(ids, { versions }, nameOf) {
  const texts = [...new Set(ids.map(baseOf))].map((base) => {
    const version = versions.contenders[base]
    if (!version || base === 'memlane') return null
    const name = nameOf(base)
    // Some versions name their programs themselves.
    return /^\d/.test(version) ? `${name} ${version}` : base === 'raw' ? `raw by ${version}` : version
  })
  return texts.filter((text) => text !== null)
}
