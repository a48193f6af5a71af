import { isUint8Array } from 'node:util/types'
import { bytesOf, checkHost, checkKeys, shown, typeError, valueError } from './arguments.js'
import type { TlsOptions } from './options.js'

const CLIENT_CERTS = ['none', 'request', 'require'] as const

/** {@link TlsOptions} as the engine takes them. */
export interface CheckedTls {
  cert?: Uint8Array
  key?: Uint8Array
  ca?: Uint8Array
  /** The index of its word. */
  clientCert: number
  serverName?: string
}

export function checkTls(options: TlsOptions): CheckedTls {
  if (typeof options !== 'object' || options === null) throw typeError('tls', 'an object', options)
  checkKeys(options, ['cert', 'key', 'ca', 'clientCert', 'serverName'])
  const { clientCert, serverName } = options
  const checked: CheckedTls = { clientCert: 0 }
  if ('ca' in options && options.ca === undefined) {
    throw typeError('tls.ca', 'PEM as a string or a Uint8Array: leave it out to ask nobody for a certificate', undefined)
  }
  for (const name of ['cert', 'key', 'ca'] as const) {
    const pem = options[name]
    if (pem !== undefined) checked[name] = pemOf(pem, `tls.${name}`)
  }
  if (checked.cert === undefined && checked.ca === undefined) {
    throw valueError('tls holds neither cert and key, to be dialled, nor ca, to dial')
  }
  if ((checked.cert === undefined) !== (checked.key === undefined)) {
    throw valueError('tls.cert and tls.key: one is nothing without the other')
  }
  // Whoever says whom to believe means everybody who connects, unless it is said otherwise.
  checked.clientCert = clientCert === undefined ? (checked.ca !== undefined ? 2 : 0) : CLIENT_CERTS.indexOf(clientCert)
  if (checked.clientCert < 0) {
    throw valueError(`tls.clientCert is ${shown(clientCert)}; it is one of ${CLIENT_CERTS.join(', ')}`)
  }
  if (checked.clientCert > 0 && checked.ca === undefined) {
    throw valueError('tls.clientCert needs tls.ca, to check certificates against')
  }
  if (serverName !== undefined) checked.serverName = checkHost(serverName, 'tls.serverName')
  return checked
}

/** Those that replace others: who leaves out `ca` has to say that nobody is asked for a certificate any more. */
export function checkNewTls(options: TlsOptions): CheckedTls {
  const checked = checkTls(options)
  if (checked.ca === undefined && options.clientCert === undefined) {
    throw valueError("tls replaces all of it, and without ca nobody is asked for a certificate: give ca again, or clientCert: 'none'")
  }
  return checked
}

/** What is wrong with the content of credentials, as the error of a wrong argument. */
export function wrongTls(why: string): TypeError {
  return valueError(`tls: ${why}`)
}

/** A copy, so that nobody changes it later. Messages never show it. */
function pemOf(value: unknown, what: string): Uint8Array {
  if (typeof value === 'string') {
    if (!value.includes('-----BEGIN')) throw valueError(`${what} has no "-----BEGIN": it is the text of a PEM file, not its path; readFileSync(path) reads it`)
    return new TextEncoder().encode(value)
  }
  if (!isUint8Array(value)) throw typeError(what, 'PEM as a string or a Uint8Array', typeof value)
  return new Uint8Array(bytesOf(value, what))
}
