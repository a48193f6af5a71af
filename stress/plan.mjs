/**
 * What an actor does in each of its turns: plain numbers that follow from the seed, the actor and the turn, and from nothing
 * that happened before. So a run is played again by its seed, whatever was slow or failed meanwhile.
 */
import { FACTS_BYTES, LARGE_BYTES, NOTE_BYTES, SLOT_BYTES } from './layout.mjs'
import { GRAIN } from './pattern.mjs'
import { mix, Random } from '../bench/support/random.mjs'

const WEIGHTS = {
  read: 22,
  look: 12,
  write: 20,
  readBatch: 8,
  writeBatch: 7,
  prepared: 7,
  notify: 5,
  send: 12,
  stream: 5,
  large: 5,
  probe: 3,
  refresh: 2,
  connect: 3,
  legacy: 2,
  closePeer: 2,
  closeScratch: 3,
  closeEndpoint: 1,
}

/** The first actor is about large transfers: fences should meet them half way. */
const LARGE_WEIGHTS = { ...WEIGHTS, large: 40 }

/** Longest range of one operation but for `large` ones. */
export const MOST_BYTES = 128 << 10
const MESSAGE_MOST_BYTES = 80 << 10

/** What makes an operation end early, most often nothing. */
function givingUp(random) {
  const way = random.weighted({ none: 14, deadline: 2, cancel: 2, signal: 2 })
  if (way === 'none') return { way }
  if (way === 'deadline') return { way, timeoutMs: random.between(1, 5) }
  // Turns of the loop, or milliseconds: some operations have not begun by then, others are half way.
  return random.once(2) ? { way, turns: random.below(4) } : { way, milliseconds: random.between(1, 6) }
}

const LOCAL = ['region', 'view', 'private']

/** Ranges beside each other within `bytes`, which no two entries share. */
function disjoint(random, bytes, count, most) {
  const share = Math.floor(bytes / count)
  return Array.from({ length: count }, (_, index) => {
    const { offset, length } = random.range(share, most)
    return { offset: index * share + offset, length }
  })
}

const DETAILS = {
  read: (random) => ({
    reads: Array.from({ length: random.between(1, 24) }, () => ({ ...random.range(FACTS_BYTES, 8192), local: random.pick(LOCAL) })),
  }),
  look: (random) => ({ ...random.range(SLOT_BYTES, MOST_BYTES) }),
  write: (random) => ({
    writes: disjoint(random, SLOT_BYTES, random.between(1, 8), SLOT_BYTES).map((range) => ({ ...range, fromView: random.once(2) })),
  }),
  readBatch: (random) => ({
    descriptors: random.once(2),
    entries: Array.from({ length: random.between(1, 60) }, () => ({ ...random.range(FACTS_BYTES, 4096), inView: random.once(3) })),
  }),
  writeBatch: (random) => ({
    descriptors: random.once(2),
    entries: disjoint(random, SLOT_BYTES, random.between(1, 60), SLOT_BYTES).map((range) => ({ ...range, inView: random.once(3) })),
  }),
  prepared: (random) => ({
    starts: random.between(1, 4),
    entries: Array.from({ length: random.between(1, 30) }, () => random.range(FACTS_BYTES, 4096)),
  }),
  notify: (random) => {
    const length = Math.max(2 * GRAIN, random.length(NOTE_BYTES))
    return { offset: random.below(NOTE_BYTES - length + 1), length, fromView: random.once(2) }
  },
  send: (random) => ({ messages: random.between(1, 4), fromView: random.once(2) }),
  stream: (random) => ({ messages: random.between(1, 6), fromView: random.once(2) }),
  large: (random) => ({
    write: random.once(2),
    offset: random.below(256 << 10),
    length: random.between(1 << 20, LARGE_BYTES - (256 << 10)),
    local: random.pick(LOCAL),
  }),
  probe: (random) => ({ what: random.pick(['beyond', 'access', 'canary', 'nowhere']) }),
  refresh: () => ({}),
  connect: (random) => ({ by: random.pick(['url', 'info', 'json']), read: random.range(FACTS_BYTES, 4096) }),
  legacy: (random) => ({ reads: Array.from({ length: random.between(1, 6) }, () => random.range(FACTS_BYTES, 64 << 10)) }),
  closePeer: (random) => ({ reads: Array.from({ length: random.between(1, 12) }, () => random.range(FACTS_BYTES, MOST_BYTES)) }),
  closeScratch: (random) => ({ reads: Array.from({ length: random.between(1, 3) }, () => random.range(FACTS_BYTES, 1 << 20)) }),
  closeEndpoint: (random) => ({ reads: Array.from({ length: random.between(1, 12) }, () => random.range(FACTS_BYTES, MOST_BYTES)) }),
}

/** The turn `number` of an actor. */
export function turn(seed, processes, process, actor, number) {
  const random = new Random(seed, processes, process, actor, number)
  const kind = random.weighted(actor === 0 ? LARGE_WEIGHTS : WEIGHTS)
  return { number, kind, peer: random.below(processes), giveUp: givingUp(random), ...DETAILS[kind](random) }
}

/** How long the message `operation` of `mark` is: its receiver can tell as well as its sender. */
export function messageBytes(mark, operation) {
  return new Random(mix(mark, operation)).length(MESSAGE_MOST_BYTES) + 15
}
