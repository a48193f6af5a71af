/** DLSlime's `TcpEndpoint`, from Python as its users have it: `python/dlslime_tcp.py`. */
import { debianLibraries, wheels, wheelVersion } from '../support/provision.mjs'
import { startPython } from '../support/python.mjs'

export const name = 'DLSlime'

export async function setup() {
  await debianLibraries(['libibverbs.so.1', 'libibverbs1'], ['libnuma.so.1', 'libnuma1'])
  await wheels('dlslime==0.1.23', 'numpy==2.4.6')
}

export const version = () => wheelVersion('dlslime')

/** Seen by stopping the target's process: writes of up to 1 MiB complete all the same. */
export const completion = { write: 'the bytes have left for the target' }

export const start = (options) => startPython('dlslime_tcp', options)
