/** A word as the model for text lines wants it: three planes of 48 by 192 numbers, 1 is white and -1 is black. */
const HEIGHT = 48
const WIDTH = 192
export const SHAPE = [1, 3, HEIGHT, WIDTH]

const ROWS = 7
const COLUMNS = 5
/** Letters that look different when they are turned, in rows from the top. */
const LETTERS = {
  A: ' ### #   ##   #######   ##   ##   #',
  E: '######    #    #### #    #    #####',
  F: '######    #    #### #    #    #    ',
  P: '#### #   ##   ##### #    #    #    ',
  R: '#### #   ##   ##### # #  #  # #   #',
}

/** `word` in black on white, upside down if it `isTurned`. */
export function drawn(word, isTurned, scale = 5) {
  const image = new Float32Array(3 * HEIGHT * WIDTH).fill(1)
  const left = (WIDTH - word.length * (COLUMNS + 1) * scale) >> 1
  const top = (HEIGHT - ROWS * scale) >> 1
  for (let y = 0; y < ROWS * scale; y++) {
    for (let x = 0; x < word.length * (COLUMNS + 1) * scale; x++) {
      const column = Math.floor(x / scale)
      const letter = LETTERS[word[Math.floor(column / (COLUMNS + 1))]]
      const inLetter = column % (COLUMNS + 1)
      if (inLetter === COLUMNS || letter[Math.floor(y / scale) * COLUMNS + inLetter] !== '#') continue
      const pixel = (top + y) * WIDTH + left + x
      for (let plane = 0; plane < 3; plane++) image[plane * HEIGHT * WIDTH + (isTurned ? HEIGHT * WIDTH - 1 - pixel : pixel)] = -1
    }
  }
  return image
}
