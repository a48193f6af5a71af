/** Whether the locale's characters are UTF-8, as the variables say that every program reads. */
export function isUtf8({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv = process.env): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '')
}

/** Those that commands write themselves. */
const ASCII: Readonly<Record<string, string>> = { µ: 'u', '–': '-', '’': "'", '·': '-', '×': 'x', '…': '...', '─': '-', '█': '#', '░': '.' }

/** A character by its code point, as `\\u00f6` or `\\u{1f600}`. */
export function escaped(one: string): string {
  const digits = (one.codePointAt(0) as number).toString(16).padStart(4, '0')
  return digits.length > 4 ? `\\u{${digits}}` : `\\u${digits}`
}

/** The text where nothing beyond ASCII can be shown; a character of somebody's name that ASCII has nothing for is escaped, as {@link harmless} does. */
export function toAscii(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[^\u0000-\u007f]/gu, (one) => ASCII[one] ?? escaped(one))
}

/** The text as the locale's terminals can show it. */
export function legible(text: string): string {
  return isUtf8() ? text : toAscii(text)
}
