import { inspect, type InspectOptionsStylized } from 'node:util'

/** `name { … }` with these properties, as Node prints an object of a class: for `inspect.custom`. */
export function printed(name: string, properties: object, depth: number, options: InspectOptionsStylized): string {
  // Node says null where there is no limit, which is not below 0.
  if (depth < 0) return options.stylize(`[${name}]`, 'special')
  return `${name} ${inspect(properties, { ...options, depth })}`
}
