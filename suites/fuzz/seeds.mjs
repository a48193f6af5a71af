/**
 * Seeds of the engine's targets, out of the golden vectors of crates/wire/testdata: what a peer says in each, as an input of the target.
 *
 * usage: node suites/fuzz/seeds.mjs FOLDER        writes FOLDER/headers and FOLDER/preface
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import process from 'node:process'

const TESTDATA = new URL('../../crates/wire/testdata/', import.meta.url)
const PREFACE_BYTES = 64
/** Most bytes that one raw speech of the target `preface` has. */
const SPEECH_BYTES = 99

/** A vector: where it begins, and the bytes of each side. */
function vector(name) {
  let start = ''
  let sender
  const said = { initiator: [], target: [] }
  for (const line of readFileSync(new URL(name, TESTDATA), 'utf8').split('\n')) {
    const head = /^(start|initiator|target): (\S+)/.exec(line)
    if (head?.[1] === 'start') start = head[2]
    else if (head !== null) sender = head[1]
    else if (!line.startsWith('#') && !line.includes('=') && sender !== undefined) said[sender].push(...Buffer.from(line.replaceAll(' ', ''), 'hex'))
  }
  return { start, ...said }
}

/** Legacy or not, receives, how it is cut, at most so many bytes a call, and the stream. */
function headers({ start, initiator }, cuts) {
  const stream = start === 'preface' ? initiator.slice(PREFACE_BYTES) : initiator
  return [start === 'legacy' ? 1 : 0, 3, cuts.length, ...cuts, 0, ...stream]
}

/** Secrets, which side, how it is cut, and what is said, raw. */
function preface({ initiator, target }, side, secrets) {
  const said = side === 1 ? target : initiator
  const speeches = []
  for (let at = 0; at < said.length; at += SPEECH_BYTES) {
    const speech = said.slice(at, at + SPEECH_BYTES)
    speeches.push(0, speech.length, ...speech)
  }
  return [secrets, side, ...(side === 1 ? [] : [0]), 1, 16, 0, ...speeches]
}

function write(folder, name, bytes) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), Buffer.from(bytes))
}

const folder = process.argv[2]
if (folder === undefined) {
  console.error('seeds: which folder?')
  process.exit(2)
}
for (const file of readdirSync(TESTDATA).filter((name) => name.endsWith('.hex'))) {
  const name = basename(file, '.hex')
  const said = vector(file)
  write(join(folder, 'headers'), name, headers(said, name.length % 2 === 0 ? [0] : [6, 16, 2]))
  if (said.start === 'preface') {
    write(join(folder, 'preface'), `${name}-initiator`, preface(said, 0, name === 'auth' ? 3 : 0))
    write(join(folder, 'preface'), `${name}-target`, preface(said, 1, name === 'auth' ? 3 : 0))
  }
}
