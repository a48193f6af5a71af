import test from 'ava'
import { ARGUMENT_ERROR_CODES, ERROR_CODES, type ErrorCode, MemlaneError } from 'memlane'
import { table } from './support/error-table'

/** Codes that arise above the engine. */
const ABOVE: ErrorCode[] = ['ERR_TENSOR', 'ERR_UNSAFE_MEMORY', 'ERR_NATIVE_BINDING', 'ERR_DIRECTORY']

test('the codes of MemlaneError are those of the engine, and those that arise above it', (t) => {
  t.deepEqual([...ERROR_CODES], [...table.map(({ code }) => code), ...ABOVE])
})

test('every code is one word for one thing', (t) => {
  t.is(new Set(ERROR_CODES).size, ERROR_CODES.length)
  for (const code of [...ERROR_CODES, ...ARGUMENT_ERROR_CODES]) t.regex(code, /^ERR_[A-Z_]+$/)
  for (const { origin, text } of table) {
    t.true(['local', 'remote', 'transport'].includes(origin))
    t.regex(text, /^[a-z].*[^.]$/, 'a part of a sentence')
  }
})

test('a MemlaneError is an Error with what it was made of, and nothing that is not there', (t) => {
  const cause = new Error('beneath')
  const full = new MemlaneError('broken', {
    code: 'ERR_PEER_CLOSED',
    origin: 'transport',
    retryable: true,
    peer: '10.0.0.1:7400',
    operation: 'write',
    outcome: 'unknown',
    cause,
  })
  t.true(full instanceof Error)
  t.is(String(full), 'MemlaneError: broken')
  t.like(full, { code: 'ERR_PEER_CLOSED', origin: 'transport', retryable: true, peer: '10.0.0.1:7400', operation: 'write', outcome: 'unknown', cause })
  const bare = new MemlaneError('broken', { code: 'ERR_CLOSED', origin: 'local', retryable: false })
  t.deepEqual(Object.keys(bare).sort(), ['code', 'origin', 'retryable'])
  t.false('cause' in bare)
})
