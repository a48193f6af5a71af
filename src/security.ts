import { createHash } from 'node:crypto'
import { isUint8Array } from 'node:util/types'
import { bytesOf, checkBoolean, nameFault, shown, typeError, valueError } from './arguments.js'
import type { Security } from './options.js'
import { checkTls, type CheckedTls } from './tls.js'

/** The options of {@link Security}. */
export const SECURITY_OPTIONS = ['token', 'tokens', 'tls', 'legacy', 'allowUnauthenticated'] as const

const MOST_TOKENS = 64
/** Keys that objects have in an order of their own; the first token is the one that is dialled with. */
const WHOLE_NUMBER = /^(?:0|[1-9]\d*)$/

/** A secret and its name; that of a `token` has none. */
export interface NamedSecret {
  name: string
  secret: Uint8Array
}

/** Options of {@link Security} as the engine takes them; nothing when none is set. */
export interface CheckedSecurity {
  tokens: NamedSecret[]
  tls?: CheckedTls
  /** Where it is not said, the engine decides. */
  legacy?: boolean
  allowUnauthenticated: boolean
}

/** Whom the engine asks for what: with a variable that is not set in their place nobody would be asked for anything. */
const ASKED_FOR = [
  ['token', 'a string or a Uint8Array'],
  ['tokens', 'an object of secrets by their names'],
  ['tls', 'an object'],
] as const

/** Refuses what is there and undefined: whoever wants none does not name it. */
function checkPresent(options: Security): void {
  for (const [name, kind] of ASKED_FOR) {
    if (name in options && options[name] === undefined) throw typeError(name, `${kind}: leave it out to ask for none`, undefined)
  }
}

export function checkSecurity(options: Security): CheckedSecurity | undefined {
  checkPresent(options)
  if (SECURITY_OPTIONS.every((name) => options[name] === undefined)) return undefined
  const { token, tokens, tls, legacy, allowUnauthenticated } = options
  const several = named(tokens)
  if (token !== undefined) {
    if (several.some(({ name }) => name === '')) throw valueError('tokens[""] is the one without a name, and so is token')
    several.unshift({ name: '', secret: secret(token, 'token') })
  }
  if (several.length > MOST_TOKENS) throw valueError(`${several.length} tokens are set; at most ${MOST_TOKENS} are told apart`)
  checkDistinct(several)
  const checkedTls = tls === undefined ? undefined : checkTls(tls)
  if (checkedTls !== undefined && legacy === true) throw valueError('legacy and tls: the legacy wire is not spoken over TLS')
  return {
    ...(checkedTls !== undefined && { tls: checkedTls }),
    tokens: several,
    ...(legacy !== undefined && { legacy: checkSwitch(legacy, 'legacy') }),
    allowUnauthenticated: allowUnauthenticated !== undefined && checkSwitch(allowUnauthenticated, 'allowUnauthenticated'),
  }
}

function named(tokens: Security['tokens']): NamedSecret[] {
  if (tokens === undefined) return []
  if (typeof tokens !== 'object' || tokens === null || Array.isArray(tokens)) {
    // What was given may be the secret itself.
    throw typeError('tokens', 'an object of secrets by their names', Array.isArray(tokens) ? 'array' : typeof tokens)
  }
  const entries = Object.entries(tokens)
  if (entries.length === 0) throw valueError('tokens holds none: leave it out, or name one')
  return entries.map(([name, value], index) => {
    const fault = name === '' ? undefined : nameFault(name)
    if (fault !== undefined) throw valueError(`tokens: the name ${shown(name)} ${fault}`)
    if (WHOLE_NUMBER.test(name)) {
      throw valueError(`tokens: the name ${shown(name)} is a whole number, which JavaScript moves to the front; give it a letter`)
    }
    // Whoever has changed places of name and secret has the secret where the name is.
    return { name, secret: secret(value, `tokens, entry ${index + 1} of ${entries.length}`) }
  })
}

/** A boolean; the message does not show what was given, which stands among secrets. */
function checkSwitch(value: unknown, what: string): boolean {
  return checkBoolean(typeof value === 'boolean' ? value : typeof value, what)
}

/** What a preface says of a name. */
const hintOf = (name: string): string => (name === '' ? '' : createHash('sha256').update(name).digest('hex').slice(0, 8))

function checkDistinct(secrets: readonly NamedSecret[]): void {
  const called = ({ name }: NamedSecret) => (name === '' ? 'token' : shown(name))
  for (const [index, one] of secrets.entries()) {
    const other = secrets.slice(0, index).find((earlier) => Buffer.compare(earlier.secret, one.secret) === 0)
    if (other !== undefined) {
      throw valueError(`tokens: ${called(other)} and ${called(one)} are one secret, so that whoever knows it could come as either`)
    }
    const alike = secrets.slice(0, index).find(({ name }) => hintOf(name) === hintOf(one.name))
    if (alike !== undefined) throw valueError(`tokens: the names ${called(alike)} and ${called(one)} look the same on the wire: change one`)
  }
}

/** A copy, so that nobody changes it later. Messages never show it. */
function secret(value: unknown, what: string): Uint8Array {
  if (typeof value !== 'string' && !isUint8Array(value)) {
    throw typeError(what, 'a string or a Uint8Array', typeof value)
  }
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(bytesOf(value, what))
  if (bytes.byteLength === 0) throw valueError(`${what} is empty: whoever asks for it would be let in`)
  return bytes
}
