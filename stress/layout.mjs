/**
 * Who owns which bytes. Every process publishes the same regions; in each of them an actor of any process has a slot that
 * nobody else writes, and gaps that nobody writes at all.
 */

/** Loops of operations in each process. */
export const ACTORS = 5
/** The loop in a worker thread comes behind them. */
export const WORKER = ACTORS

export const SLOT_BYTES = 96 << 10
/** Behind each slot, for writes that their target is told of. */
export const NOTE_BYTES = 4096
export const GAP_BYTES = 256
const STRIDE = SLOT_BYTES + NOTE_BYTES + GAP_BYTES

/** Of these the first actor of each process has one, so that operations are taken apart into pieces. */
export const LARGE_BYTES = (2 << 20) + (256 << 10)
const LARGE_STRIDE = LARGE_BYTES + GAP_BYTES

export const FACTS_BYTES = 2 << 20
export const CANARY_BYTES = 64 << 10

/** What a writer's mark says of its kind of memory. */
export const KINDS = { facts: 0, slot: 1, note: 2, large: 3, message: 4, stream: 5, canary: 6 }
const KIND_NAMES = Object.keys(KINDS)

/** A number for who writes what where: process, actor, target, kind of memory. */
export function mark(process, actor, target, kind) {
  return (process << 24) | (actor << 16) | (target << 8) | KINDS[kind]
}

export function describeMark(number) {
  const [process, actor, target, kind] = [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255]
  return `${KIND_NAMES[kind] ?? `kind ${kind}`} of process ${process} actor ${actor} at process ${target}`
}

/** A place in a region. */
export function slotOf(process, actor) {
  return { region: 'cells', base: (process * ACTORS + actor) * STRIDE, bytes: SLOT_BYTES }
}

export function noteOf(process, actor) {
  return { region: 'cells', base: (process * ACTORS + actor) * STRIDE + SLOT_BYTES, bytes: NOTE_BYTES }
}

export function largeOf(process) {
  return { region: 'large', base: process * LARGE_STRIDE, bytes: LARGE_BYTES }
}

/** The word in `acks` by which a target says which notified write it has seen. */
export function ackOf(process, actor) {
  return 4 * (process * ACTORS + actor)
}

/** The regions of a target among `processes`, in the order in which they are made. */
export function regionsOf(processes) {
  return {
    canary: { bytes: CANARY_BYTES, access: 'read' },
    facts: { bytes: FACTS_BYTES, access: 'read' },
    acks: { bytes: 4 * processes * ACTORS, access: 'read' },
    large: { bytes: processes * LARGE_STRIDE, access: 'readwrite' },
    cells: { bytes: processes * ACTORS * STRIDE, access: 'readwrite' },
  }
}

/** What lies in `cells` or `large` of `target`, slot after slot: its place, its owner's mark, and the gap behind it. */
export function* placesIn(region, target, processes) {
  for (let process = 0; process < processes; process++) {
    if (region === 'large') {
      const place = largeOf(process)
      yield { ...place, mark: mark(process, 0, target, 'large'), gap: place.base + place.bytes }
      continue
    }
    for (let actor = 0; actor < ACTORS; actor++) {
      yield { ...slotOf(process, actor), mark: mark(process, actor, target, 'slot'), gap: undefined }
      const note = noteOf(process, actor)
      yield { ...note, mark: mark(process, actor, target, 'note'), gap: note.base + note.bytes }
    }
  }
}
