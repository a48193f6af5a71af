import type { Result } from '../result.js'
export function page(result: Result): string { return JSON.stringify(result) }
