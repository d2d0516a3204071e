/** The command line of the demo. */
import { parseArgs } from 'node:util'

/** What may be said behind `npm start --`. */
export interface DemoOptions {
  /** Events per second. */
  readonly rate: number
  readonly people: number
  /** Undefined: as configured. */
  readonly port: number | undefined
}

const OPTIONS = {
  rate: { type: 'string' },
  people: { type: 'string' },
  port: { type: 'string' },
} as const
const USAGE =
  'Usage: npm start -- [--rate <events per second>] [--people <number>] [--port <number>]; ' +
  'MILLRACE_DATA names a data directory that is kept.'

/** Reads the words behind `npm start --`, or says what is wrong with them. */
export function readWords(words: readonly string[]): DemoOptions | { readonly problem: string } {
  let problem: string | undefined
  const whole = (name: string, text: string | undefined, max: number): number | undefined => {
    if (text === undefined) return undefined
    const value = Number(text)
    if (Number.isInteger(value) && value >= 1 && value <= max) return value
    problem = `--${name} is a whole number from 1 to ${max}, not ${text}.\n${USAGE}`
    return undefined
  }
  try {
    const { values } = parseArgs({ args: [...words], options: OPTIONS })
    const options = {
      rate: whole('rate', values.rate, 50_000) ?? 60,
      people: whole('people', values.people, 1_000_000) ?? 600,
      port: whole('port', values.port, 65_535),
    }
    return problem === undefined ? options : { problem }
  } catch (error) {
    return { problem: `${(error as Error).message}\n${USAGE}` }
  }
}
