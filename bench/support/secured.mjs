/** What a contender's variant `tls` or `token` is secured with: the same certificate for everybody, which is for 127.0.0.1. */
import { readFileSync } from 'node:fs'

const pem = (name) => readFileSync(new URL(`../../crates/engine/src/tests/certificates/${name}.pem`, import.meta.url))

/** Certificate and key, and the authority that they are checked by on both sides. */
export const certificates = () => ({ cert: pem('good'), key: pem('good'), ca: pem('fleet') })

/** Options of an endpoint; null for other variants. */
export function secured(variant) {
  if (variant === 'tls') return { tls: certificates() }
  return variant === 'token' ? { token: 'sixteen bytes at least' } : null
}
