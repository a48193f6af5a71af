/**
 * Two processes read receipts: this one finds the text, the other one reads it, each with its own model and core. Every
 * page's crops go from here to there; by memlane and by child_process IPC in turn, everything else being the same.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { CROP_ELEMENTS, cutOut } from './crop.mjs'
import { loadDetector } from './detect.mjs'
import { commandLine, HELP } from './options.mjs'
import { drawReceipt, HEIGHT, WIDTH } from './pages.mjs'
import { report } from './report.mjs'

const TRANSPORTS = [
  { name: 'memlane', module: './over-memlane.mjs' },
  { name: 'child_process IPC', module: './over-ipc.mjs' },
  { name: 'IPC, each send awaited', module: './over-ipc.mjs', awaitSends: true },
]
/** Pages that are on their way or being recognised at a time: one behind the one that the second process is busy with. */
const SLOTS = 2

/** Milliseconds on the clock that all processes of a machine share. */
const now = () => Number(process.hrtime.bigint()) / 1e6

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`ocr-pipeline: ${error.message}`)
  process.exitCode = 1
}

async function main() {
  const options = commandLine()
  if (options.help) {
    process.stdout.write(HELP)
    return 0
  }
  const pages = Array.from({ length: options.pages }, (_, number) => drawReceipt(number, itemsOn(number, options)))
  const detect = await loadDetector(options.threads)
  const links = []
  try {
    for (const transport of options.memlane ? TRANSPORTS.slice(0, 1) : TRANSPORTS) links.push(await startLink(transport, options.threads))
    for (const link of links) await readPages(pages.slice(0, SLOTS), detect, link)
    const rounds = []
    for (let round = 0; round < options.rounds; round++) {
      for (const link of links) rounds.push({ transport: link.name, ...(await readPages(pages, detect, link)) })
    }
    return report(rounds, pages, options)
  } finally {
    for (const link of links) await link.close()
  }
}

/** As many on every receipt; or from none to twice as many, in turns. */
function itemsOn(number, { items, vary }) {
  return vary ? (2 * number) % (2 * items + 1) : items
}

/** A second process, and the way to it by one transport. */
async function startLink({ name, module, awaitSends = false }, threads) {
  const child = fork(fileURLToPath(new URL('./recogniser.mjs', import.meta.url)), [module, threads], { serialization: 'advanced' })
  const exit = once(child, 'exit')
  const waiting = new Map()
  let onTrouble
  const trouble = new Promise((_, reject) => (onTrouble = reject))
  exit.then(([code, signal]) => onTrouble(new Error(`the second process ended: ${signal ?? `exit status ${code}`}`)))
  const onAnswer = (page, answer) => {
    waiting.get(page)(answer)
    waiting.delete(page)
  }

  const { sender } = await import(module)
  const sending = Promise.race([trouble, sender(child, SLOTS, { onAnswer, onTrouble, awaitSends })])
  const { place, send, close } = await sending.catch((error) => {
    child.kill()
    throw error
  })
  return {
    name,
    place,
    send,
    /** What the second process answers to a page: `{ text, started, ended, late }`. */
    answer(page) {
      const answer = Promise.race([trouble, new Promise((resolve) => waiting.set(page, resolve))])
      // Nobody waits for the last ones when an earlier one has failed.
      answer.catch(() => {})
      return answer
    },
    async close() {
      await close()
      if (child.connected) child.disconnect()
      await exit
    },
  }
}

/** All pages, through both processes: while the second one recognises a page, this one detects on the next. */
async function readPages(pages, detect, link) {
  const started = now()
  const sent = []
  const answers = []
  let detecting = 0
  for (const [page, { pixels }] of pages.entries()) {
    const began = now()
    const boxes = await detect(pixels, WIDTH, HEIGHT)
    detecting += now() - began

    const slot = page % SLOTS
    await answers[page - SLOTS]
    const place = link.place(slot)
    for (const [index, box] of boxes.entries()) cutOut(pixels, WIDTH, box, place.subarray(index * CROP_ELEMENTS, (index + 1) * CROP_ELEMENTS))

    sent.push(now())
    answers.push(link.answer(page))
    await link.send(page, slot, boxes.length)
  }
  const read = await Promise.all(answers)
  return { ms: now() - started, detecting, sent, read }
}
