/** One line on stderr that tells what is being measured; silent unless stderr is a terminal. */
export function liveLine(stream = process.stderr) {
  const width = () => (stream.columns || 80) - 1
  return {
    show(text) {
      if (stream.isTTY) stream.write(`\r\x1b[2K\x1b[2m${text.slice(0, width())}\x1b[22m`)
    },
    clear() {
      if (stream.isTTY) stream.write('\r\x1b[2K')
    },
  }
}
