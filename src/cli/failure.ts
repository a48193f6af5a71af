/** How a command ends; docs/cli/README.md says what each means. */
export const EXIT = {
  failed: 1,
  usage: 2,
  unreachable: 3,
  mismatch: 4,
  SIGINT: 130,
  SIGTERM: 143,
} as const

/** What went wrong, in a line for people: `code` is for programs. */
export class CliError extends Error {
  readonly code: string
  readonly status: number

  constructor(message: string, { code = 'ERR_CLI', status = EXIT.failed as number, cause }: { code?: string; status?: number; cause?: unknown } = {}) {
    super(message, { cause })
    this.code = code
    this.status = status
  }
}

/** The command line makes no sense. */
export function usageError(message: string): CliError {
  return new CliError(message, { code: 'ERR_USAGE', status: EXIT.usage })
}

/** What to do, by the code of an error of memlane's. */
const ADVICE: Readonly<Record<string, string>> = {
  ERR_AUTH: 'see that both sides have the same token (--token-file), and the same name for it',
  ERR_TLS: 'see --tls-ca, --tls-cert, --tls-key and --tls-server-name',
  ERR_CONNECT: 'see that it is up, and that host and port are right',
  ERR_TIMEOUT: 'see that it is up, or give it longer (--timeout)',
  ERR_OUT_OF_RANGE: 'the peer has less than it said: where a served file has become shorter, start serve anew',
  ERR_INSECURE_BIND: 'give --token-file or --tls-cert, or --allow-unauthenticated where everybody who reaches the port may read',
  ERR_LISTEN: 'choose another --port (0 is any that is free), or an address of this machine',
}

/** What the package says to programs where a person is told otherwise. */
const IN_OTHER_WORDS: Readonly<Record<string, string>> = {
  ERR_INSECURE_BIND: 'others than this machine reach that address, and nobody is asked who it is',
}

const UNREACHABLE = ['ERR_CONNECT', 'ERR_TIMEOUT', 'ERR_AUTH', 'ERR_TLS']

/** What the system calls it, in words that do not need its manual. */
const SYSTEM: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'no right to do that',
  EPERM: 'no right to do that',
  EISDIR: 'is a folder',
  ENOTDIR: 'is no folder',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EROFS: 'the file system is read only',
  EADDRINUSE: 'the port is taken',
  EFBIG: 'the file would be too large for its file system',
}

/** An error as a command shows it. */
export interface Shown {
  code: string
  message: string
  status: number
}

const one = (text: string): string => text.replace(/\s*\n\s*/g, ' ').trim()

/** Whatever was thrown, as one line, a code and an exit status. */
export function shownError(error: unknown): Shown {
  if (error instanceof CliError) return { code: error.code, message: one(error.message), status: error.status }
  if (!(error instanceof Error)) return { code: 'ERR_INTERNAL', message: one(String(error)), status: EXIT.failed }
  const { code, path, syscall, message } = error as NodeJS.ErrnoException
  if (typeof code !== 'string') return { code: 'ERR_INTERNAL', message: `${one(message)} (a fault of memlane's: --debug shows where)`, status: EXIT.failed }
  if (syscall !== undefined && code in SYSTEM) {
    return { code, message: one(path === undefined ? `${SYSTEM[code]} (${syscall})` : `${path}: ${SYSTEM[code]}`), status: EXIT.failed }
  }
  const advice = ADVICE[code]
  const status = code.startsWith('ERR_INVALID_ARG') ? EXIT.usage : UNREACHABLE.includes(code) ? EXIT.unreachable : EXIT.failed
  const said = IN_OTHER_WORDS[code] ?? message
  return { code, message: one(advice === undefined ? said : `${said}: ${advice}`), status }
}
