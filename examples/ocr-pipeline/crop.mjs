/** What one process hands to the other: pieces of a page, each a line of text, as the recognition model takes them. */

export const CROP_SHAPE = [3, 48, 320]
const [PLANES, HEIGHT, WIDTH] = CROP_SHAPE
export const CROP_ELEMENTS = PLANES * HEIGHT * WIDTH
/** As many pieces of one page as there is room for. */
export const MAX_CROPS = 32

/** Writes what `box` shows of a page's grey pixels into `crop`: scaled to the model's height, numbers from -1 to 1, 0 at the right. */
export function cutOut(pixels, pageWidth, box, crop) {
  const wide = Math.min(WIDTH, Math.ceil((HEIGHT * box.width) / box.height))
  const last = pixels.length / pageWidth - 1
  crop.fill(0)
  for (let y = 0; y < HEIGHT; y++) {
    const [above, below, down] = between(box.top, box.height, (y + 0.5) / HEIGHT, last)
    for (let x = 0; x < wide; x++) {
      const [before, behind, along] = between(box.left, box.width, (x + 0.5) / wide, pageWidth - 1)
      const upper = mix(pixels[above * pageWidth + before], pixels[above * pageWidth + behind], along)
      const lower = mix(pixels[below * pageWidth + before], pixels[below * pageWidth + behind], along)
      crop[y * WIDTH + x] = mix(upper, lower, down) / 127.5 - 1
    }
  }
  for (let plane = 1; plane < PLANES; plane++) crop.copyWithin(plane * HEIGHT * WIDTH, 0, HEIGHT * WIDTH)
}

/** The two pixels around a place, and how far it is from the first to the second. */
function between(start, length, share, last) {
  const place = Math.min(last, Math.max(0, start + share * length - 0.5))
  const first = Math.floor(place)
  return [first, Math.min(last, first + 1), place - first]
}

const mix = (one, other, share) => one + (other - one) * share
