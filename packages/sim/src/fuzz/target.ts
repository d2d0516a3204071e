/** A parser under the fuzzer, and what counts as a finding. */
import { isError } from '@millrace/core'
import type { Corpus } from './mutate.ts'

/** A parser. */
export interface FuzzTarget {
  readonly name: string
  /** Inputs of a run that is part of the tests; they take about half a second. */
  readonly shortRuns: number
  /** Made once. */
  corpus(): Promise<Corpus> | Corpus
  /**
   * Parses one input. It may throw registered errors, which is how inputs are refused; whatever else
   * it throws is a finding.
   */
  run(input: Buffer): unknown
}

/** Runs a target on an input; gives what is wrong with how it ended, or undefined. */
export async function findingOf(target: FuzzTarget, input: Buffer): Promise<string | undefined> {
  try {
    await target.run(input)
    return undefined
  } catch (error) {
    return faultOf(error)
  }
}

/** What is wrong with a refusal: it must have a code, its place filled in, and a remedy. */
export function faultOf(error: unknown): string | undefined {
  if (!isError(error))
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const { code, message, remedy, details } = error
  if (code === 'INVARIANT_BROKEN') return error.stack ?? message
  if (remedy === '') return `${code} has no remedy`
  // A detail that is missing leaves its name in the sentence.
  const open = /\{(\w+)\}/.exec(`${message} ${remedy}`.replaceAll(JSON.stringify(details), ''))?.[1]
  const isQuoted = open !== undefined && JSON.stringify(details).includes(`{${open}}`)
  return open === undefined || isQuoted ? undefined : `${code} does not say {${open}}: ${message}`
}
