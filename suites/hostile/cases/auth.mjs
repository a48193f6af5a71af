/** B15, and B16 as far as it takes a token: who cannot prove what it says. */
import { authenticated, DEADLINE_MS } from '../connection.mjs'
import { Target } from '../rig.mjs'
import { FLAG_AUTH, hintOf, OK, ping, preface, PREFACE_BYTES, proof, PROOF_BYTES, read, write } from '../wire.mjs'
import { EVIL } from './parts.mjs'

const GOOD = { name: 'new', secret: 'correct horse battery staple' }
const TOKENS = { new: GOOD.secret, old: 'another secret', t: 't' }

export const rows = ['B15', 'B16']

export function start({ seed, exec }) {
  return Target.start({ seed, exec, options: { tokens: TOKENS }, token: GOOD })
}

export function* cases(target) {
  const { address } = target.region('page')
  const requests = Buffer.concat([ping(), read(address, 64), write(address, EVIL)])
  const counters = { authFailures: 1 }
  const line = (row, name, sent, attack, more = {}) => ({ row, name, sent, counters, attack, ...more })

  /** The target says that it refuses, in as many zeroes as a proof has bytes, and ends the connection. */
  const refused = async (lane) => {
    const said = await lane.rest()
    if (!said.equals(Buffer.alloc(PROOF_BYTES))) throw new Error(`${said.length} bytes that are no refusal: ${said.toString('hex', 0, 64)}`)
    return 'refused, close'
  }

  /** Comes with this hint, and says what `prove` makes of both prefaces, with requests behind it: none is answered. */
  const proving = (prove, { hint = hintOf(GOOD.name), mine } = {}) => async ({ native }) => {
    const own = mine ?? preface({ flags: FLAG_AUTH, hint })
    const lane = await native(own)
    lane.write(Buffer.concat([prove(own, lane.answer), requests]))
    return refused(lane)
  }
  const honest = (mine, theirs) => proof('i', GOOD.secret, mine, theirs)

  yield {
    row: 'B15', name: 'the right proof, to compare with', sent: 'preface, proof, PING',
    attack: async () => {
      const lane = await authenticated(target.port, GOOD)
      lane.write(ping())
      const said = await lane.status(0, OK)
      lane.end()
      return `proof, ${said}, ${await lane.ends()}`
    },
  }
  const bits = Array.from({ length: PROOF_BYTES * 8 }, (_, bit) => ({
    name: `bit ${bit}`,
    counters,
    attack: proving((mine, theirs) => {
      const bytes = honest(mine, theirs)
      bytes[bit >> 3] ^= 1 << (bit & 7)
      return bytes
    }),
  }))
  yield { row: 'B15', name: 'a proof with a bit that is wrong', sent: 'each of its 256 bits', sub: bits }
  const wrong = [
    ['zeros', () => Buffer.alloc(PROOF_BYTES)],
    ['another secret', (mine, theirs) => proof('i', 'correct horse battery stapl', mine, theirs)],
    ['the secret of another name', (mine, theirs) => proof('i', TOKENS.old, mine, theirs)],
    ['the empty secret', (mine, theirs) => proof('i', '', mine, theirs)],
    ["the target's role", (mine, theirs) => proof('t', GOOD.secret, mine, theirs)],
    ['the prefaces the other way round', (mine, theirs) => proof('i', GOOD.secret, theirs, mine)],
    ["the target's preface twice", (mine, theirs) => proof('i', GOOD.secret, theirs, theirs)],
  ]
  for (const [what, prove] of wrong) yield line('B15', `a wrong proof: ${what}`, 'preface, proof, requests', proving(prove))
  const nonce = (mine, theirs) => {
    const other = Buffer.from(theirs)
    other[63] ^= 1
    return honest(mine, other)
  }
  yield line('B16', 'a wrong nonce', 'a proof over another nonce, requests', proving(nonce))
  yield line('B15', 'a proof cut short, then the end', 'preface, 31 bytes, end', async ({ native }) => {
    const own = preface({ flags: FLAG_AUTH, hint: hintOf(GOOD.name) })
    const lane = await native(own)
    lane.write(honest(own, lane.answer).subarray(0, 31))
    lane.end()
    return lane.ends()
  })
  for (const length of [0, 1, 31]) {
    yield line('B15', `a proof of ${length} bytes, then silence`, 'preface, the bytes', async ({ native }) => {
      const own = preface({ flags: FLAG_AUTH, hint: hintOf(GOOD.name) })
      const lane = await native(own)
      lane.write(honest(own, lane.answer).subarray(0, length))
      return lane.ends(target.limits.handshakeTimeoutMs + DEADLINE_MS)
    }, { counters: { timedOut: 1 } })
  }
  const recorded = async () => {
    const lane = await authenticated(target.port, GOOD)
    lane.end()
    await lane.ends()
    return lane
  }
  yield line('B15', 'replayed from an earlier connection', 'its preface and proof, requests', async (opening) => {
    const { mine, proved } = await recorded()
    return proving(() => proved, { mine })(opening)
  })
  yield line('B16', 'a preface replayed, without a proof', 'the preface of an earlier connection, requests', async (opening) => {
    const { mine } = await recorded()
    return proving(() => Buffer.alloc(PROOF_BYTES), { mine })(opening)
  })
  yield line('B15', "reflected: the target's own proof of an earlier connection", 'preface, that proof, requests', async (opening) => {
    const { mine, answer } = await recorded()
    return proving(() => answer, { mine })(opening)
  })
  yield line('B15', "reflected: the target's own preface, and zeros", 'its preface as ours, requests', async ({ native }) => {
    const first = await native({ flags: FLAG_AUTH, hint: hintOf(GOOD.name) })
    const lane = await native(first.answer)
    lane.write(Buffer.concat([Buffer.alloc(PROOF_BYTES), requests]))
    const said = await refused(lane)
    first.end()
    await first.ends()
    return said
  })
  const names = [['an unknown token name', hintOf('nobody')], ['no token name', 0], ['a hint of ones', 0xffffffff]]
  for (const [what, hint] of names) yield line('B15', what, 'preface, the right proof, requests', proving(honest, { hint }))
  yield line('B15', 't against t followed by NUL', 'preface, proof by "t\\0", requests', proving((mine, theirs) => proof('i', 't\0', mine, theirs), { hint: hintOf('t') }))
  yield line('B15', 'the name t followed by NUL', 'preface, proof by "t", requests', proving((mine, theirs) => proof('i', 't', mine, theirs), { hint: hintOf('t\0') }))
  yield line('B15', 'no proof asked for', 'preface without the flag, requests', async ({ open }) => {
    const lane = await open()
    lane.write(Buffer.concat([preface(), requests]))
    const heard = await lane.rest()
    if (heard.length !== PREFACE_BYTES) throw new Error(`${heard.length} bytes came back`)
    return 'preface, close'
  })
  yield line('B15', 'requests in place of the proof', 'preface, requests', proving(() => Buffer.alloc(0)))
  yield line('B15', 'the legacy wire where there is a token', 'requests', async ({ open }) => {
    const connection = await open()
    connection.write(Buffer.concat([read(address, 64), write(address, EVIL)]))
    return connection.ends()
  })
}
