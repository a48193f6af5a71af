/** Mooncake's `TransferEngine` over TCP, from Python: `python/mooncake_tcp.py`. Its transfers wait by spinning. */
import { debianLibraries, wheels, wheelVersion } from '../support/provision.mjs'
import { startPython } from '../support/python.mjs'

const WHEEL = 'mooncake-transfer-engine-non-cuda'

export const name = 'Mooncake'

export async function setup() {
  await debianLibraries(
    ['libibverbs.so.1', 'libibverbs1'],
    ['librdmacm.so.1', 'librdmacm1'],
    ['libnuma.so.1', 'libnuma1'],
  )
  await wheels(`${WHEEL}==0.3.13.post1`, 'numpy==2.4.6')
}

export const version = () => wheelVersion(WHEEL)

/** It logs a line for every batch unless it is told to keep to errors. */
export const start = (options) =>
  startPython('mooncake_tcp', options, { MC_FORCE_TCP: '1', MC_LOG_LEVEL: 'ERROR', GLOG_minloglevel: '2' })
