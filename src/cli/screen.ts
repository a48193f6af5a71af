/** How a command speaks: results on standard output, all else on standard error; in ASCII where the locale has no more. */

import { escaped, legible } from './locale.js'

const FALLBACK_COLUMNS = 80
const FALLBACK_ROWS = 24

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

const CODES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
}

/** Whether a stream takes colours: https://no-color.org, https://force-color.org, else whether somebody looks. */
function takesColour(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '') return FORCE_COLOR !== '0'
  return stream.isTTY === true && TERM !== 'dumb'
}

// Texts of peers and files may hold whatever moves a cursor or renames a window. Tabs and line ends are a terminal's business too,
// and what nobody sees makes two names look like one.
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\p{Surrogate}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu

/** A text from elsewhere, a region's name say, so that it is one line and does nothing to a terminal. */
export function harmless(text: string): string {
  return text.replace(CONTROLS, escaped)
}

/** Where a command writes. */
export class Screen {
  readonly json: boolean
  readonly #out: NodeJS.WriteStream
  readonly #err: NodeJS.WriteStream
  readonly #colours: boolean
  #isLive = false
  /** Lines of the picture that stands at the end of standard output. */
  #pictured = 0

  constructor(json: boolean, out: NodeJS.WriteStream = process.stdout, err: NodeJS.WriteStream = process.stderr) {
    this.json = json
    this.#out = out
    this.#err = err
    this.#colours = !json && takesColour(out)
  }

  /** Columns that a picture may have. */
  get columns(): number {
    return this.#out.columns > 0 ? this.#out.columns : FALLBACK_COLUMNS
  }

  /** Whether somebody looks at the live line. */
  get isLive(): boolean {
    return this.#err.isTTY === true && process.env.TERM !== 'dumb'
  }

  /** The text in a style, for {@link line}; as it is where there are no colours. */
  styled(style: Style, text: string): string {
    const [on, off] = CODES[style]
    return this.#colours ? `\x1b[${on}m${text}\x1b[${off}m` : text
  }

  /** A line of the result, for people. With `--json` nothing. */
  line(text = ''): void {
    if (this.json) return
    this.clear()
    this.#out.write(`${legible(text)}\n`)
  }

  /** The result, or one event of those of a command that goes on: a JSON document on a line of its own. Without `--json` nothing. */
  document(value: unknown): void {
    if (!this.json) return
    this.clear()
    this.#out.write(`${JSON.stringify(value)}\n`)
  }

  /** What is beside the result: a line on standard error, also with `--json`. */
  note(text: string): void {
    this.clear()
    this.#err.write(`${legible(text)}\n`)
  }

  /** Rows that a picture may have; nothing where nobody looks at standard output, and it cannot be drawn again. */
  get rows(): number | undefined {
    return this.#out.isTTY === true && process.env.TERM !== 'dumb' ? (this.#out.rows ?? 0) || FALLBACK_ROWS : undefined
  }

  /** Lines in place of those that this drew before; where nobody looks, behind them. With `--json` nothing. */
  picture(lines: readonly string[]): void {
    if (this.json) return
    this.clear()
    if (this.rows !== undefined && this.#pictured > 0) this.#out.write(`\x1b[${this.#pictured}A\r\x1b[J`)
    this.#out.write(lines.map((text) => `${legible(text)}\n`).join(''))
    this.#pictured = lines.length
  }

  /** What is under way, in place of what was said of it before; only where somebody looks. */
  live(text: string): void {
    if (!this.isLive) return
    const width = (this.#err.columns > 0 ? this.#err.columns : FALLBACK_COLUMNS) - 1
    this.#err.write(`\r\x1b[2K${legible(text).slice(0, width)}`)
    this.#isLive = true
  }

  /** Takes the live line away. */
  clear(): void {
    if (!this.#isLive) return
    this.#err.write('\r\x1b[2K')
    this.#isLive = false
  }
}
