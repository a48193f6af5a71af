import type { Screen } from './screen.js'

/** An option as `--help` shows it. */
export interface Option {
  type: 'string' | 'boolean'
  /** What stands for its value in the help: `FILE`, `SECONDS`. Only of strings. */
  value?: string
  help: string
  short?: string
  /** Whether it may be given several times; the value is an array then. */
  multiple?: boolean
  default?: string | boolean
}

export type Options = Readonly<Record<string, Option>>

type Value<O extends Option> = O['type'] extends 'boolean' ? boolean : O['multiple'] extends true ? string[] : string

/** The values of options as they were given; those with a default are always there. */
export type Values<T extends Options> = {
  [K in keyof T]: T[K]['default'] extends string | boolean ? Value<T[K]> : Value<T[K]> | undefined
}

/** What a command is run with. */
export interface Call<T extends Options = Options> {
  values: Values<T>
  /** The arguments that are no options. */
  names: readonly string[]
  screen: Screen
  /** Fires at the first Ctrl-C or SIGTERM: what is under way is to be ended, and said how far it got. The second ends the process. */
  signal: AbortSignal
}

/** One word of the command line. */
export interface Command<T extends Options = Options> {
  name: string
  /** The first line of its help, a sentence without a stop. */
  summary: string
  /** What stands behind the name: `[options] tcp://HOST:PORT`. */
  usage: string
  /** Fewest and most arguments that are no options. */
  names: readonly [number, number]
  options: T
  /** Whole command lines, without the `npx`. */
  examples: readonly string[]
  /** Paragraphs behind the options. */
  notes?: readonly string[]
  /** Whether it goes on until it is interrupted, so that this is its success. */
  goesOn?: boolean
  run(call: Call<T>): Promise<void>
}

/** A command, with the types of its values taken from its options. */
export function command<const T extends Options>(it: Command<T>): Command<T> {
  return it
}
