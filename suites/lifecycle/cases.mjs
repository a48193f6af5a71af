/**
 * What is done to every line of Node. A case is a program of `cases/`, in a process of its own; `quick` and `long` are what it is
 * told. It passes when it ends with code 0 and has said so; everything else (a signal, another code, silence) is its failure.
 */
export const CASES = [
  { name: 'workers', about: '20 workers at once read, write and send to each other', quick: { rounds: 10 }, long: { rounds: 300 } },
  { name: 'terminate', about: '20 busy workers are terminated, the others go on', quick: { rounds: 1 }, long: { rounds: 20 } },
  { name: 'exit', about: 'process.exit with operations in flight, of workers too', quick: { rounds: 1 }, long: { rounds: 25 } },
  { name: 'sigterm', about: 'SIGTERM while busy, with a handler and without', quick: { rounds: 1 }, long: { rounds: 15 } },
  { name: 'views', about: 'views are detached, transferred, cloned, resized, collected', quick: { rounds: 10 }, long: { rounds: 500 } },
  { name: 'twice', about: 'the addon is loaded again, from two paths, and in workers', quick: { rounds: 2 }, long: { rounds: 20 } },
  { name: 'throw', about: 'handlers of events, messages and diagnostics throw', quick: { rounds: 1 }, long: { rounds: 10 } },
  { name: 'text', about: 'region.text decodes what a peer is writing', quick: { seconds: 1 }, long: { seconds: 10 } },
  { name: 'tensors', about: 'tensors of every type are published and read, Float16Array where there is one', quick: { rounds: 2 }, long: { rounds: 200 } },
  { name: 'cycles', about: 'context, endpoint, region and connection open and close', quick: { cycles: 300 }, long: { cycles: 10_000 } },
]

/** What is done to the other runtimes. */
export const SMOKE = { name: 'smoke', about: 'listen, connect, read, write, send, recv, close', quick: {}, long: {} }
