import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'

/** A certificate and its key, as `tls` options take them. */
export interface Certified {
  cert: string
  key: string
}

/** Who signs certificates. */
export interface Authority extends Certified {
  name: string
}

export interface CertificateOptions {
  /** DNS names and IPv4 addresses. */
  names?: readonly string[]
  /** Days from now; before it is not valid yet, after it has expired. */
  from?: number
  to?: number
}

/** An authority of nobody else's. */
export function authority(name: string, { from = -1, to = 7 }: CertificateOptions = {}): Authority {
  const key = newKey()
  const cert = certificate(name, key.publicKey, name, key.privateKey, [
    extension('551d13', sequence(boolean(true)), true),
    extension('551d0f', tagged(0x03, Buffer.from([1, 0x06])), true),
  ], from, to)
  return { name, cert, key: pem('PRIVATE KEY', key.privateKey.export({ type: 'pkcs8', format: 'der' })) }
}

/** A certificate of this authority, for both sides of a connection. */
export function issue(by: Authority, { names = ['127.0.0.1', 'localhost'], from = -1, to = 7 }: CertificateOptions = {}): Certified {
  const key = newKey()
  const alternatives = names.map((name) =>
    isIP(name) === 0 ? tagged(0x82, Buffer.from(name)) : tagged(0x87, Buffer.from(name.split('.').map(Number)))
  )
  const extensions = [
    extension('551d11', sequence(...alternatives)),
    extension('551d25', sequence(identifier('2b06010505070301'), identifier('2b06010505070302'))),
  ]
  const cert = certificate('endpoint', key.publicKey, by.name, by.key, extensions, from, to)
  return { cert, key: pem('PRIVATE KEY', key.privateKey.export({ type: 'pkcs8', format: 'der' })) }
}

const ECDSA_SHA256 = '2a8648ce3d040302'

function newKey() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

function certificate(
  subject: string,
  key: KeyObject,
  issuer: string,
  signer: KeyObject | string,
  extensions: Buffer[],
  from: number,
  to: number
): string {
  const spki = key.export({ type: 'spki', format: 'der' })
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    sequence(identifier(ECDSA_SHA256)),
    named(issuer),
    sequence(time(from), time(to)),
    named(subject),
    spki,
    tagged(0xa3, sequence(...extensions, extension('551d0e', tagged(0x04, createHash('sha1').update(spki).digest()))))
  )
  const signature = sign('sha256', body, signer)
  const bits = tagged(0x03, Buffer.concat([Buffer.from([0]), signature]))
  return pem('CERTIFICATE', sequence(body, sequence(identifier(ECDSA_SHA256)), bits))
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: Buffer[]) => tagged(0x30, Buffer.concat(parts))
const integer = (bytes: Buffer) => tagged(0x02, bytes)
const boolean = (value: boolean) => tagged(0x01, Buffer.from([value ? 0xff : 0]))
const identifier = (hex: string) => tagged(0x06, Buffer.from(hex, 'hex'))
const named = (name: string) => sequence(tagged(0x31, sequence(identifier('550403'), tagged(0x0c, Buffer.from(name)))))

function extension(id: string, content: Buffer, critical = false): Buffer {
  return sequence(identifier(id), ...(critical ? [boolean(true)] : []), tagged(0x04, content))
}

/** So many days from now, in UTC, as X.509 writes it until 2049 and from then on. */
function time(days: number): Buffer {
  const digits = new Date(Date.now() + days * 86_400_000).toISOString().replace(/\D/g, '').slice(0, 14)
  return digits < '2050' ? tagged(0x17, Buffer.from(`${digits.slice(2)}Z`)) : tagged(0x18, Buffer.from(`${digits}Z`))
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
