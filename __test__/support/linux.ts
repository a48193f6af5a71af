import type { ExecutionContext } from 'ava'

type Body = (t: ExecutionContext) => void | Promise<void>
type Register = (title: string, body: Body) => void

/** Registers tests that only Linux can run. Elsewhere each says why it is skipped, and passes. */
export function onLinux(register: Register, why: string): Register {
  return where(process.platform === 'linux', register, why)
}

/** Registers tests that need what `holds` says. Without it each says why it is skipped, and passes. */
export function where(holds: boolean, register: Register, why: string): Register {
  if (holds) return register
  return (title) =>
    register(title, (t) => {
      t.log(`skipped: ${why}`)
      t.pass()
    })
}
