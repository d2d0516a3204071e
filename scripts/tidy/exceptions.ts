/**
 * The exceptions from the house rules, each with its reason. A rule that needs many of them is wrong;
 * an exception that nothing needs any more is a finding itself.
 */

/** One place where one rule does not hold. */
export interface Exception {
  /** The name of the rule, as findings print it. */
  readonly rule: string
  /** The file, relative to the root. */
  readonly path: string
  readonly reason: string
}

/** All exceptions of this repository. */
export const exceptions: readonly Exception[] = [
  {
    rule: 'backend-suite',
    path: 'packages/features/src/files/duckdb/index.ts',
    reason:
      'One engine reads and writes these files, by SQL: there is no contract that another passes.',
  },
]
