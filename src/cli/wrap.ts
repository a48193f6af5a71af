import { legible } from './locale.js'

/** A text in lines that end between words, where a word is not longer than the screen. */
export function wrapped(text: string, columns: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) as string
    if (last !== '' && last.length + 1 + word.length > columns) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}

/** A text behind what leads it, its further lines below its first: as wide as the screen, for what the locale can show. */
export function hanging(lead: string, text: string, columns: number): string[] {
  const indent = ' '.repeat(lead.length)
  return wrapped(legible(text), columns - lead.length).map((line, index) => (index === 0 ? lead : indent) + line)
}
