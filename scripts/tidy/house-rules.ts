/** All house rules that no tool knows, in one list, with the exceptions taken out. */
import { findEmptyTests } from './assertions.ts'
import { findBannedCalls } from './calls.ts'
import { exceptions as ownExceptions, type Exception } from './exceptions.ts'
import { findErrorFaults } from './registered-errors.ts'
import {
  findBackendsWithoutSuite,
  findBarePackages,
  findLockGaps,
  findTraces,
} from './repository.ts'
import { findBadNames, findLongPieces, findLooseEnds } from './shape.ts'
import type { Finding, SourceFile } from './sources.ts'

/** Title of a group of rules -> what finds its faults. */
export const houseRules: Readonly<Record<string, (files: readonly SourceFile[]) => Finding[]>> = {
  'time, randomness, environment and console come in through the ports': findBannedCalls,
  'files and functions stay below their limits': findLongPieces,
  'names are in kebab-case and say something': findBadNames,
  'no unfinished work, explicit exports': findLooseEnds,
  'every backend folder runs the suite of its contract': findBackendsWithoutSuite,
  'every package has a README, a description and the licence': findBarePackages,
  'nothing of one machine': findTraces,
  'the lock file is complete': findLockGaps,
  'errors are unique and thrown': findErrorFaults,
  'every test can fail': findEmptyTests,
}

/** Findings without the excepted ones; an exception that matches nothing is a finding of its own. */
export function withoutExceptions(
  findings: readonly Finding[],
  exceptions: readonly Exception[] = ownExceptions,
): Finding[] {
  const isExcepted = (finding: Finding, { rule, path }: Exception): boolean =>
    finding.rule === rule && finding.place.replace(/:\d+$/, '') === path
  const needless = exceptions.filter(
    exception => !findings.some(finding => isExcepted(finding, exception)),
  )
  return [
    ...findings.filter(finding => !exceptions.some(exception => isExcepted(finding, exception))),
    ...needless.map(({ rule, path }) => ({
      rule: 'exceptions',
      place: 'scripts/tidy/exceptions.ts',
      message: `nothing needs the exception from ${rule} for ${path}`,
    })),
  ]
}
