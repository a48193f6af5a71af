/** NIXL with its UCX backend over TCP, from Python: `python/nixl_ucx.py`. Its transfers wait by spinning. */
import { wheels, wheelVersion } from '../support/provision.mjs'
import { startPython } from '../support/python.mjs'

export const name = 'NIXL, UCX over TCP'

/** Without its dependency torch, which it only asks whether memory is a tensor of. */
export const setup = () => wheels('nixl-cu12==1.5.1', 'numpy==2.4.6')

export const version = () => wheelVersion('nixl-cu12')

export const start = (options) => startPython('nixl_ucx', options, { UCX_TLS: 'tcp', UCX_NET_DEVICES: 'lo', NIXL_LOG_LEVEL: 'ERROR' })
