import { shown, typeError, valueError } from './arguments.js'
import { ACCESS } from './info.js'
import type { Access, AllowOptions } from './options.js'

/** What peers with one token may do, as the engine takes it. */
export interface Allowance {
  token: string
  access: Access
}

/** Who may do what with a region. */
export interface CheckedRights {
  /** What peers may do; of a region of some tokens, what one of them may do at most. */
  access: Access
  /** The tokens that it is for. */
  allow?: Allowance[]
}

/** What a region's peers may do; `otherwise` where nobody said. `tokens` are those of the endpoint, by name. */
export function checkRights(options: AllowOptions | undefined, otherwise: Access, tokens: readonly string[]): CheckedRights {
  const allow: unknown = options?.allow
  const access = checkAccess(options?.access, otherwise)
  if (allow === undefined) return { access }
  if (typeof allow !== 'object' || allow === null) {
    // What was given may be the secret itself.
    throw typeError('allow', 'an array of names of tokens, or an object of rights by them', typeof allow)
  }
  if (tokens.length === 0) throw valueError('allow names tokens, and this endpoint has none that has a name: give it tokens')
  const allowed = Array.isArray(allow) ? alike(allow, access) : byToken(allow, options?.access)
  if (allowed.length === 0) throw valueError("allow names no token: leave it out, or leave access 'none'")
  for (const [index, { token }] of allowed.entries()) checkToken(token, `allow: name ${index + 1} of ${allowed.length}`, tokens)
  return { access: most(allowed), allow: allowed }
}

/** Refuses what is no name of a token, without a word of what was given: it may be a secret. */
export function checkToken(value: unknown, what: string, tokens: readonly string[]): string {
  if (typeof value !== 'string') throw typeError(what, 'the name of a token', typeof value)
  if (tokens.includes(value)) return value
  const known = tokens.length === 0 ? 'there is none that has one' : `there are ${tokens.map(shown).join(', ')}`
  throw valueError(`${what} is not the name of a token of this endpoint; ${known}`)
}

function checkAccess(value: Access | undefined, otherwise: Access): Access {
  const access = value ?? otherwise
  if (!ACCESS.includes(access)) throw valueError(`access must be one of ${ACCESS.join(', ')}; got ${shown(access)}`)
  return access
}

function alike(names: string[], access: Access): Allowance[] {
  if (access === 'none') throw valueError("allow names who has the access, and that is 'none': give access too, or rights by token")
  return Array.from(names, (token) => ({ token, access }))
}

function byToken(rights: object, access: Access | undefined): Allowance[] {
  if (access !== undefined) throw valueError('access and an object of rights by token: one of them is enough')
  return Object.entries(rights).map(([token, right]) => {
    if (right === 'none' || !ACCESS.includes(right as Access)) {
      // What was given may be the secrets themselves, by their names.
      throw valueError('allow: a right must be one of read, write, readwrite. Leave out who has none')
    }
    return { token, access: right as Access }
  })
}

/** What at least one of them may do. */
function most(allowed: Allowance[]): Access {
  const may = (right: Access): boolean => allowed.some(({ access }) => access === right || access === 'readwrite')
  return may('read') ? (may('write') ? 'readwrite' : 'read') : 'write'
}
