/** What the rounds showed: whether every text is right, pages a second, and how long finished pages lay about. */

/** Prints it; the exit status, 0 when every text is right. */
export function report(rounds, pages, { json }) {
  const wrong = rounds.flatMap(({ transport, read }) => {
    return read.flatMap(({ text }, page) => (same(text, pages[page].text) ? [] : [{ transport, page, text, drawn: pages[page].text }]))
  })
  const rows = [...new Set(rounds.map(({ transport }) => transport))].map((name) => {
    return row(name, rounds.filter(({ transport }) => transport === name))
  })
  if (json) console.log(JSON.stringify({ right: wrong.length === 0, rows, wrong }))
  else print(rows, wrong, { rounds: rounds.length / rows.length, pages: pages.length, fields: [...new Set(pages.map(({ text }) => text.length))].sort((one, other) => one - other).join(', '), all: rounds.length * pages.length })
  return wrong.length === 0 ? 0 : 1
}

const same = (one, other) => one.length === other.length && one.every((text, index) => text === other[index])

function row(transport, rounds) {
  const read = rounds.flatMap((round) => round.read)
  const ms = sum(rounds.map((round) => round.ms))
  const recognising = sum(read.map(({ started, ended }) => ended - started))
  const waits = rounds.flatMap((round) => round.read.map((_, page) => waited(round, page)))
  return {
    transport,
    pagesPerSecond: rounds.map((round) => (1000 * round.read.length) / round.ms),
    waitedP50Ms: quantile(waits, 0.5),
    waitedP99Ms: quantile(waits, 0.99),
    detectionMs: sum(rounds.map(({ detecting }) => detecting)) / read.length,
    recognitionMs: recognising / read.length,
    shortestRecognitionMs: Math.min(...read.map(({ started, ended }) => ended - started)),
    blocked: recognising / ms,
    latestTimerMs: Math.max(...read.map(({ late }) => late)),
  }
}

/** How long the second process stood still although the first one had begun to send it this page: the hand-over's share. */
function waited({ sent, read }, page) {
  const free = page === 0 ? 0 : read[page - 1].ended
  return read[page].started - Math.max(sent[page], free)
}

function print(rows, wrong, { rounds, pages, fields, all }) {
  console.log(`${rounds} rounds of ${pages} receipts by each transport, in turns; ${fields} pieces of text on them.\n`)
  console.log('                              pages a second     second process idle though a     ms a page       its event loop')
  console.log('                           median (worst–best)   page was sent: p50, p99 ms    detect, recognise  blocked, longest')
  for (const one of rows) {
    const sorted = one.pagesPerSecond.toSorted((a, b) => a - b)
    const rate = `${quantile(sorted, 0.5).toFixed(2)} (${sorted[0].toFixed(2)}–${sorted.at(-1).toFixed(2)})`
    const waits = `${one.waitedP50Ms.toFixed(1).padStart(10)}${one.waitedP99Ms.toFixed(1).padStart(10)}`
    const stages = `${one.detectionMs.toFixed(0).padStart(8)}${one.recognitionMs.toFixed(0).padStart(9)}`
    const loop = `${(100 * one.blocked).toFixed(0)} %, ${one.latestTimerMs.toFixed(0)} ms`
    console.log(`${one.transport.padEnd(25)}${rate.padStart(19)}     ${waits}           ${stages}       ${loop.padStart(14)}`)
  }
  for (const { transport, page, text, drawn } of wrong) {
    console.log(`\nWRONG, receipt ${page} by ${transport}: read ${text.join(' | ')}; drawn ${drawn.join(' | ')}`)
  }
  console.log(`\n${wrong.length === 0 ? 'Every text came back right' : 'Texts came back wrong'}: ${all - wrong.length} of ${all} receipts.`)
}

const sum = (values) => values.reduce((one, other) => one + other, 0)

function quantile(values, share) {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}
