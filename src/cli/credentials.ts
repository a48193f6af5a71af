import { readFileSync, statSync } from 'node:fs'
import type { ListenOptions, PeerInfo, Security, TlsOptions } from '../../index.js'
import type { Options, Values } from './command.js'
import { CliError, usageError } from './failure.js'
import { numberOf } from './parse.js'
import type { Screen } from './screen.js'

/** What a peer may say of its regions, some hundred thousand of them. */
const MAX_INFO_BYTES = 64 << 20
/** What a peer can listen on. */
const MAX_PORT = 65_535

/** Who is let in, and who is dialled; the same for both sides. */
export const CREDENTIALS = {
  'token-file': { type: 'string', value: 'FILE', help: 'the secret that both sides know; a line end behind it does not count' },
  'token-name': { type: 'string', value: 'NAME', help: 'its name, where the other side has several' },
  'tls-ca': { type: 'string', value: 'FILE', help: "PEM: authorities that the other side's certificate has to be of" },
  'tls-cert': { type: 'string', value: 'FILE', help: 'PEM: the certificate that the other side is shown' },
  'tls-key': { type: 'string', value: 'FILE', help: 'PEM: its key' },
  'tls-server-name': { type: 'string', value: 'NAME', help: "the name that the other side's certificate is for, where it is not the host" },
} as const satisfies Options

/** For commands that dial. */
export const DIALLING = {
  ...CREDENTIALS,
  timeout: { type: 'string', value: 'SECONDS', default: '10', help: 'how long to wait for an answer' },
} as const satisfies Options

/** `values` as options of `TcpEndpoint.listen`. */
export function securityOf(values: Values<typeof CREDENTIALS>, screen: Screen): Security {
  const tls = tlsOf(values)
  const { 'token-file': file, 'token-name': name } = values
  if (name !== undefined && file === undefined) throw usageError('--token-name is the name of the secret in --token-file, which is missing')
  if (file === undefined) return tls === undefined ? {} : { tls }
  const secret = tokenOf(file, screen)
  const token: Security = name === undefined ? { token: secret } : { tokens: { [name]: secret } }
  return tls === undefined ? token : { ...token, tls }
}

/** The bytes of a file; an error of the system has its name, also where reading it fails. */
function contentOf(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw Object.assign(error as Error, { path })
  }
}

function tokenOf(file: string, screen: Screen): Buffer {
  const bytes = contentOf(file)
  const others = statSync(file).mode & 0o007
  if (others !== 0 && process.platform !== 'win32') screen.note(`warning: everybody on this machine may read ${file}: chmod 600 ${file}`)
  let end = bytes.length
  if (bytes[end - 1] === 0x0a) end--
  if (bytes[end - 1] === 0x0d) end--
  if (end === 0) throw new CliError(`${file} is empty, and should hold a secret: (umask 077; openssl rand -hex 32 > ${file})`)
  return bytes.subarray(0, end)
}

function tlsOf(values: Values<typeof CREDENTIALS>): TlsOptions | undefined {
  const { 'tls-ca': ca, 'tls-cert': cert, 'tls-key': key, 'tls-server-name': serverName } = values
  if ((cert === undefined) !== (key === undefined)) throw usageError('--tls-cert and --tls-key: one is nothing without the other')
  if (ca === undefined && cert === undefined) {
    if (serverName !== undefined) throw usageError('--tls-server-name needs --tls-ca')
    return undefined
  }
  return {
    ...(ca !== undefined && { ca: contentOf(ca) }),
    ...(cert !== undefined && key !== undefined && { cert: contentOf(cert), key: contentOf(key) }),
    ...(serverName !== undefined && { serverName }),
  }
}

/** The `--timeout`, in milliseconds. */
export function timeoutOf(values: Values<typeof DIALLING>): number {
  return Math.ceil(numberOf('timeout', values.timeout, 0.001, 86_400) * 1000)
}

/** What a command that dials listens with: loopback, whatever is free, so that nobody but this machine could reach it. */
export function diallerOptions(values: Values<typeof DIALLING>, screen: Screen): ListenOptions {
  return { host: '127.0.0.1', port: 0, maxInfoBytes: MAX_INFO_BYTES, ...securityOf(values, screen) }
}

/** Whom a word of the command line means: `tcp://host:port`, `host:port`, or a file with the JSON of an endpoint info. */
export function targetOf(word: string): string | PeerInfo {
  const [, port = '1'] = /:(\d+)\/?$/.exec(word) ?? []
  if (Number(port) < 1 || Number(port) > MAX_PORT) throw usageError(`${JSON.stringify(word)} is no peer: its port has to be from 1 to ${MAX_PORT}`)
  if (word.startsWith('tcp://')) return word
  if (word.endsWith('.json')) return infoIn(word)
  if (/^(\[[^\]]+\]|[^:/]+):\d+$/.test(word)) return `tcp://${word}`
  throw usageError(`${JSON.stringify(word)} is no peer: tcp://HOST:PORT, or a .json file with an endpoint info`)
}

function infoIn(file: string): PeerInfo {
  try {
    const info = JSON.parse(readFileSync(file, 'utf8')) as Partial<PeerInfo> | null
    if (typeof info?.host !== 'string' || typeof info.port !== 'number') throw new CliError(`${file} is no endpoint info: that is an object with host, port and mr_info`)
    return info as PeerInfo
  } catch (error) {
    if (error instanceof SyntaxError) throw new CliError(`${file} is no JSON: ${error.message}`, { cause: error })
    throw error
  }
}
