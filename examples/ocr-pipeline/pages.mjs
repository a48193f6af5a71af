/** Receipts to read: grey pixels, and the text that is on them. The same number is the same receipt on every machine. */
import { readFileSync } from 'node:fs'

export const WIDTH = 640
export const HEIGHT = 960

const PAPER = 245
const ROW = 64
const [LEFT, RIGHT] = [48, 592]
const GOODS = ['Espresso', 'Cappuccino', 'Lemonade', 'Croissant', 'Apple cake', 'Sandwich', 'Tomato soup', 'Green tea', 'Muesli', 'Pretzel']

/** `{ pixels, text }`: a byte a pixel, row by row, and its fields from top to bottom, each row from left to right. */
export function drawReceipt(number, items) {
  const pick = dice(number)
  const pixels = new Uint8Array(WIDTH * HEIGHT).fill(PAPER)
  const text = []
  let y = ROW
  const row = (left, right) => {
    write(pixels, left, LEFT, y)
    write(pixels, right, RIGHT - right.length * FONT.width, y)
    text.push(left, right)
    y += ROW
  }

  row('Receipt', String(1000 + pick(9000)))
  let total = 0
  for (let item = 0; item < items; item++) {
    const price = 100 + pick(1400)
    total += price
    row(GOODS[pick(GOODS.length)], String(price))
  }
  row('Total', String(total))
  return { pixels, text }
}

/** Whole numbers below a bound that look thrown, always the same ones for one seed. */
function dice(seed) {
  let state = seed + 1
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}

/** The characters from space to tilde, one beside the other in a PGM file that font.py made. */
const FONT = loadFont(new URL('./font.pgm', import.meta.url))

function loadFont(file) {
  const bytes = readFileSync(file)
  const [head, width, height] = /^P5\n(\d+) (\d+)\n255\n/.exec(bytes.toString('latin1'))
  return { pixels: bytes.subarray(head.length), stride: Number(width), width: Number(width) / 95, height: Number(height) }
}

function write(pixels, text, left, top) {
  for (const [index, character] of [...text].entries()) {
    const from = (character.charCodeAt(0) - 32) * FONT.width
    const to = left + index * FONT.width
    for (let y = 0; y < FONT.height; y++) {
      for (let x = 0; x < FONT.width; x++) {
        const ink = FONT.pixels[y * FONT.stride + from + x]
        pixels[(top + y) * WIDTH + to + x] = Math.min(PAPER, ink)
      }
    }
  }
}
