/** B19, B20: a target that lies, and one that answers too late. The process with memlane in it is the initiator here. */
import { Deceived } from '../deceived.mjs'
import { CONTENT, description, honest, KV } from '../liar.mjs'
import { BAD_REQUEST, FLAG_AUTH, OK, pattern, preface, READ, SEND, statusFrame, WRITE } from '../wire.mjs'

const OPS = { read: READ, write: WRITE, send: SEND }
const MIB = 1 << 20
const LENGTH = 4096
/** What a lane that was lied to on ends its operations with, the one that the lie was for or the one behind it. */
const GONE = ['ERR_PROTOCOL', 'ERR_PEER_CLOSED']

export const rows = ['B19', 'B20']

export const start = ({ exec }) => Deceived.start({ exec })

/** Answers the first request of `op` with `answer`, all others honestly. */
function once(op, answer) {
  let done = false
  return (request) => {
    if (done || request.op !== op) return honest(request)
    done = true
    answer(request)
  }
}

export function* cases(deceived) {
  const row = (name, sent, run, name20 = 'B19') => ({ row: name20, name, sent, run })
  for (const [name, op] of Object.entries(OPS)) {
    const lies = [
      ['a sequence that was never sent', ({ sequence }) => statusFrame(sequence + 1, OK), ['ERR_PROTOCOL']],
      ['a sequence far off', () => statusFrame(0xffffffff, OK), ['ERR_PROTOCOL']],
      ['a status that no table has', ({ sequence }) => statusFrame(sequence, 9), ['ERR_PROTOCOL']],
      ['a status of 2^32-1', ({ sequence }) => statusFrame(sequence, 0xffffffff), ['ERR_PROTOCOL']],
      ['status 8', ({ sequence }) => statusFrame(sequence, BAD_REQUEST), ['ERR_PROTOCOL'], true],
    ]
    for (const [what, answer, codes, spares] of lies) {
      const script = { request: once(op, (request) => request.socket.write(answer(request))) }
      yield row(`${name}: ${what}`, 'a status frame', () => deceived.lied({ script, op: name, codes, poisons: !spares }))
    }
    const half = { request: once(op, ({ socket, sequence }) => socket.end(statusFrame(sequence, OK).subarray(0, 5))) }
    yield row(`${name}: half a status frame, then the end`, '5 bytes, end', () => deceived.lied({ script: half, op: name, codes: op === READ ? ['ok', ...GONE] : GONE, poisons: false }))
    for (const other of [OK, 3]) {
      const twice = { request: once(op, (request) => (honest(request), request.socket.write(statusFrame(request.sequence, other)))) }
      yield row(`${name}: answered twice, then with ${other}`, 'the answer, another status', () => deceived.lied({ script: twice, op: name, codes: ['ok', ...GONE], next: ['ok', ...GONE] }))
      const refused = { request: once(op, ({ socket, sequence }) => socket.write(Buffer.concat([statusFrame(sequence, 3), statusFrame(sequence, other)]))) }
      yield row(`${name}: refused, then status ${other} for it`, 'status 3, another', () => deceived.lied({ script: refused, op: name, codes: ['ERR_ACCESS', ...GONE], next: ['ok', ...GONE] }))
    }
  }
  yield* early(deceived, row)
  yield* bodies(deceived, row)
  yield* connects(deceived, row)
  yield* late(deceived, row)
}

/** OK for a request whose body is not out yet: nothing more is read, so that it cannot get out. */
function* early(deceived, row) {
  for (const [name, op] of [['write', WRITE], ['send', SEND]]) {
    let lied = false
    const script = {
      header: ({ op: asked, sequence, socket }) => {
        if (asked !== op || lied) return
        lied = true
        socket.pause()
        socket.write(statusFrame(sequence, OK))
      },
    }
    yield row(`${name}: OK before its body is out`, 'a status frame at the header', () => deceived.lied({ script, op: name, region: 'huge', length: 64 * MIB, codes: ['ERR_PROTOCOL'] }))
  }
}

function* bodies(deceived, row) {
  const more = (bytes) => ({ request: once(READ, (request) => (honest(request), request.socket.write(bytes))) })
  const next = ['ok', ...GONE]
  yield row('read: 64 bytes more than asked', 'the answer, 64 bytes', () => deceived.lied({ script: more(Buffer.alloc(64, 0xee)), op: 'read', codes: next, next }))
  yield row('read: 1 MiB more than asked', 'the answer, 1 MiB', () => deceived.lied({ script: more(Buffer.alloc(MIB, 0xee)), op: 'read', codes: next, next }))
  for (const region of ['small', 'large']) {
    const length = region === 'small' ? LENGTH : 300_000
    const less = { request: once(READ, ({ socket, sequence }) => socket.end(Buffer.concat([statusFrame(sequence, OK), CONTENT.subarray(0, length - 1)]))) }
    yield row(`read: a byte less than ${length}, then the end`, 'the answer, end', () => deceived.lied({ script: less, op: 'read', region, length, codes: ['ERR_PEER_CLOSED'], poisons: false }))
    const silent = { request: once(READ, ({ socket, sequence }) => socket.write(Buffer.concat([statusFrame(sequence, OK), CONTENT.subarray(0, length - 1)]))) }
    yield row(`read: a byte less than ${length}, then silence`, 'the answer', () => deceived.lied({ script: silent, op: 'read', region, length, timeoutMs: 200, codes: ['ERR_TIMEOUT'], next, poisons: false, extraMs: 200 }))
    const refusedWithBody = { request: once(READ, ({ socket, sequence, size }) => socket.write(Buffer.concat([statusFrame(sequence, 3), Buffer.alloc(size, 0xee)]))) }
    yield row(`read: refused, with a body of ${length}`, 'status 3, a body', () => deceived.lied({ script: refusedWithBody, op: 'read', region, length, codes: ['ERR_ACCESS', ...GONE], next }))
  }
}

/** What comes before the first operation; the connect fails and says why. */
function* connects(deceived, row) {
  const said = (make) => ({ preface: make })
  const prefaces = [
    ['another magic', said(() => preface({ magic: Buffer.from('memlanE\0') }))],
    ['version 0', said(() => preface({ lowest: 0, highest: 0 }))],
    ['version 2', said(() => preface({ lowest: 2, highest: 2 }))],
    ['lowest above highest', said(() => preface({ lowest: 2, highest: 1 }))],
    ['noise', said(() => pattern('noise', 64))],
    ['1 MiB of noise', said(() => pattern('noise', MIB))],
  ]
  for (const [what, script] of prefaces) yield row(`connect: a preface that is none: ${what}`, 'a preface', () => deceived.refusedToConnect(script, ['ERR_PROTOCOL']))
  const auth = said(() => preface({ flags: FLAG_AUTH }))
  yield row('connect: authentication asked for', 'a preface', () => deceived.refusedToConnect(auth, ['ERR_AUTH']))
  const gone = [
    ['in place of a preface', { preface: () => Buffer.alloc(0), hangUp: true }],
    ['in its preface', { preface: () => preface().subarray(0, 20), hangUp: true }],
    ['behind its preface', { preface: () => preface(), hangUp: true }],
    ['before its description', { describe: (_, socket) => socket.resetAndDestroy() }],
    ['in its description', { describe: (bytes, socket) => socket.end(bytes.subarray(0, 30)) }],
  ]
  for (const [what, script] of gone) yield row(`connect: gone ${what}`, 'part of it, end', () => deceived.refusedToConnect(script, ['ERR_CONNECT', ...GONE]))
  const entry = (region) => JSON.stringify({ host: '127.0.0.1', port: 1, mr_info: { kv: region }, memlane: { version: 1, instance: '0' } })
  const infos = [
    ['2^32-1 bytes', description('{}', 2 ** 32 - 1)],
    ['nothing', description('')],
    ['no JSON', description('{"host":')],
    ['null', description('null')],
    ['no UTF-8', Buffer.concat([description('', 4), Buffer.from([0xff, 0xfe, 0x80, 0x00])])],
    ['100,000 brackets', description('['.repeat(100_000))],
    ['a fractional address', description(entry({ addr: 1.5, length: 1 }))],
    ['a negative length', description(entry({ addr: 1, length: -1 }))],
    ['an address that no number holds', description(entry({ addr: 2 ** 60, length: 1 }))],
    ['a range beyond every number', description(entry({ addr: 2 ** 53 - 2, length: 4096 }))],
  ]
  for (const [what, bytes] of infos) {
    const describe = (answer, socket) => socket.write(Buffer.concat([answer.subarray(0, 8), bytes]))
    yield row(`connect: an endpoint info of ${what}`, 'the answer to DESCRIBE', () => deceived.refusedToConnect({ describe }, ['ERR_PROTOCOL']))
  }
  // Reflection: a target that knows no token says everything back that it is told.
  const mirror = { preface: (theirs) => theirs, greeted: (bytes, socket) => socket.write(bytes) }
  yield { ...row('connect: a target that reflects preface and proof', "the initiator's own bytes", () => deceived.refusedToConnect(mirror, ['ERR_AUTH', 'ERR_PROTOCOL'], 'token')), row: 'B19' }
}

/** B20: the answer comes when the operation has timed out, before and behind that of the next one on the same lane. */
function* late(deceived, row) {
  for (const [region, length] of [['small', LENGTH], ['large', 300_000]]) {
    for (const pieces of [1, 2]) {
      let waiting
      const request = (asked) => {
        if (asked.op !== READ) return honest(asked)
        if (waiting === undefined) {
          waiting = asked
          // Its status and half of its body may be there in time.
          const half = CONTENT.subarray(asked.addr - KV.addr, asked.addr - KV.addr + asked.size / 2)
          if (pieces === 2) asked.socket.write(Buffer.concat([statusFrame(asked.sequence, OK), half]))
          return
        }
        if (waiting.lane === asked.lane) {
          const all = Buffer.concat([statusFrame(waiting.sequence, OK), CONTENT.subarray(waiting.addr - KV.addr, waiting.addr - KV.addr + waiting.size)])
          asked.socket.write(pieces === 2 ? all.subarray(8 + waiting.size / 2) : all)
          waiting.lane = -1
        }
        honest(asked)
      }
      const what = pieces === 1 ? 'an answer' : 'half an answer'
      const spec = { script: { request }, op: 'read', region, length, offset: 0, timeoutMs: 100, codes: ['ERR_TIMEOUT'], next: ['ok'], nextOffset: length, poisons: false, extraMs: 100 }
      yield row(`read of ${length}: ${what} after its end, before the next one's`, 'the late answer, then the next', () => deceived.lied(spec), 'B20')
    }
  }
  for (const name of ['write', 'send']) {
    let waiting
    const request = (asked) => {
      if (asked.op !== OPS[name]) return honest(asked)
      if (waiting === undefined) {
        waiting = asked
        return
      }
      if (waiting.lane === asked.lane) asked.socket.write(statusFrame(waiting.sequence, 3))
      waiting.lane = -1
      honest(asked)
    }
    const spec = { script: { request }, op: name, timeoutMs: 100, codes: ['ERR_TIMEOUT'], next: ['ok'], poisons: false, extraMs: 100 }
    yield row(`${name}: a refusal after its end, before the next one's OK`, 'the late status, then the next', () => deceived.lied(spec), 'B20')
  }
  const nothing = { request: () => {} }
  for (const name of Object.keys(OPS)) {
    yield row(`${name}: never an answer`, 'nothing', () => deceived.lied({ script: nothing, op: name, timeoutMs: 100, codes: ['ERR_TIMEOUT'], next: ['ERR_TIMEOUT'], again: ['ERR_TIMEOUT'], poisons: false, extraMs: 100 }), 'B20')
  }
}

