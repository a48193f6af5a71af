import { clearTimeout, setTimeout } from 'node:timers'
import { checkKeys, checkName, checkSignal, integer, typeError, valueError, type Integer } from './arguments.js'
import { directoryError, entryText, type Announcement, type Directory, type LookupOptions } from './directory.js'
import { abortedError, type MemlaneError } from './errors.js'
import { parseInfo } from './info.js'
import type { EndpointInfo, PeerInfo } from './options.js'
import { Renewal } from './renewal.js'

/** What is used of a client of `ioredis`: a `Redis` or a `Cluster`. */
export interface IoredisClient {
  /** Sends one command. */
  call(command: string, ...args: string[]): Promise<unknown>
}

/** What is used of a client of `redis` (node-redis), as `createClient` and `createClientPool` make it. */
export interface NodeRedisClient {
  /** Sends one command. */
  sendCommand(args: string[]): Promise<unknown>
}

/** A client that is connected, or connects by itself. It stays the caller's: to be listened to for its errors, to be closed. */
export type RedisClient = IoredisClient | NodeRedisClient

/** Options of a {@link RedisDirectory}. */
export interface RedisDirectoryOptions {
  /** What every key begins with. Default `'memlane:'`. */
  prefix?: string | undefined
  /**
   * How long the name of a process that died is still found. An announcement is renewed three times in that, or more. Default
   * 15,000 ms; 100 ms to a day.
   */
  ttlMs?: Integer | undefined
  /** How long one command may take. Default 5,000 ms; 1 ms to a day. */
  timeoutMs?: Integer | undefined
  /**
   * Called with an `ERR_DIRECTORY` when an announcement cannot be renewed: once an outage, however long. Renewing goes on, and
   * when the server is back the name is announced again.
   */
  onError?: ((error: MemlaneError, name: string) => void) | undefined
}

const MOST_MS = 86_400_000
const RENEWALS_PER_TTL = 3

/** Extends what is ours, restores what has expired, and leaves alone what another announcement has taken. */
const RENEW = `local held = redis.call('GET', KEYS[1])
if held == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
if held then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

const WITHDRAW = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

type Send = (args: string[]) => Promise<unknown>

/** Sends a command by whichever of the two clients it is. */
function sender(client: unknown): Send {
  const { call, sendCommand } = (client ?? {}) as Partial<IoredisClient & NodeRedisClient>
  // Asked for first: an ioredis client has a sendCommand too, of another shape.
  if (typeof call === 'function') return async ([command, ...args]) => call.call(client, command as string, ...args)
  if (typeof sendCommand === 'function') return async (args) => sendCommand.call(client, args)
  throw typeError('client', 'a client of ioredis or of redis', client)
}

/**
 * A directory in a Redis server, for a fleet on many machines.
 *
 * A name is the key `<prefix>endpoint:<name>`, whose value is the JSON `{ host, port, memlane }`; it expires unless its
 * process renews it, so that who dies is forgotten. The directory opens no connection of its own.
 */
export class RedisDirectory implements Directory {
  readonly #send: Send
  readonly #prefix: string
  readonly #ttlMs: number
  readonly #timeoutMs: number
  readonly #onError: RedisDirectoryOptions['onError']

  /**
   * A directory by `client`, which may serve other purposes too.
   *
   * @throws `TypeError` or `RangeError` for what is no client, an unknown option or a value out of its range
   */
  constructor(client: RedisClient, options: RedisDirectoryOptions = {}) {
    this.#send = sender(client)
    checkKeys(options, ['prefix', 'ttlMs', 'timeoutMs', 'onError'])
    const { prefix = 'memlane:', ttlMs = 15_000, timeoutMs = 5_000, onError } = options
    if (typeof prefix !== 'string') throw typeError('prefix', 'a string', prefix)
    if (/\p{Surrogate}/u.test(prefix)) throw valueError('prefix contains a lone surrogate, which UTF-8 cannot say')
    if (onError !== undefined && typeof onError !== 'function') throw typeError('onError', 'a function', onError)
    this.#prefix = prefix
    this.#ttlMs = integer(ttlMs, 'ttlMs', 100, MOST_MS, ' milliseconds')
    this.#timeoutMs = integer(timeoutMs, 'timeoutMs', 1, MOST_MS, ' milliseconds')
    this.#onError = onError
  }

  /**
   * Takes `name`, whoever had it, and renews it by a timer that does not hold the process.
   *
   * @throws rejects with a `TypeError` for a wrong name, and with `ERR_DIRECTORY` when the server refuses or does not answer
   */
  async announce(name: string, info: EndpointInfo): Promise<Announcement> {
    const key = this.#key(name)
    const text = entryText(info)
    const ttl = String(this.#ttlMs)
    const withdraw = () => this.#within('withdraw', name, this.#send(['EVAL', WITHDRAW, '1', key, text]))
    try {
      await this.#within('announce', name, this.#send(['SET', key, text, 'PX', ttl]))
    } catch (error) {
      // The client may keep the command for when the server is back: then this one comes right behind it.
      void withdraw().catch(() => undefined)
      throw error
    }
    let renewing: Promise<unknown> | undefined
    return new Renewal(name, this.#ttlMs / RENEWALS_PER_TTL, {
      renew: async () => {
        // A client that waits for its server keeps a command until then: one is enough.
        renewing ??= this.#send(['EVAL', RENEW, '1', key, text, ttl]).finally(() => {
          renewing = undefined
        })
        return Number(await this.#within('renew', name, renewing)) === 1
      },
      withdraw: async () => {
        await withdraw()
      },
      troubled: (error) => this.#onError?.(directoryError('renew', name, error), name),
    })
  }

  /**
   * The endpoint that has `name`; `undefined` while nobody has.
   *
   * @throws rejects with a `TypeError` for wrong arguments; `ERR_DIRECTORY`; `ERR_ABORTED` when the signal fires;
   *   `ERR_PROTOCOL` when what is stored is no endpoint info
   */
  async lookup(name: string, options: LookupOptions = {}): Promise<PeerInfo | undefined> {
    checkKeys(options, ['signal'])
    const signal = options.signal === undefined ? undefined : checkSignal(options.signal)
    const key = this.#key(name)
    if (signal?.aborted === true) throw abortedError('lookup', signal.reason)
    const held = await this.#within('lookup', name, this.#send(['GET', key]), signal)
    return held === null ? undefined : parseInfo(String(held))
  }

  #key(name: string): string {
    return `${this.#prefix}endpoint:${checkName(name)}`
  }

  /** The answer to a command, or `ERR_DIRECTORY` at its failure or deadline. */
  async #within(operation: string, name: string, answer: Promise<unknown>, signal?: AbortSignal): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined
    let abort: (() => void) | undefined
    const early = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${this.#timeoutMs} ms`)), this.#timeoutMs)
      abort = () => reject(abortedError('lookup', signal?.reason))
      signal?.addEventListener('abort', abort)
    })
    try {
      return await Promise.race([answer, early])
    } catch (cause) {
      throw directoryError(operation, name, cause)
    } finally {
      clearTimeout(timer)
      if (abort !== undefined) signal?.removeEventListener('abort', abort)
    }
  }
}
