/** What every kind of change passes: the promises of `ChangeKind`, without the module above it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isRefusedRow, type ChangeKind, type Reading, type Write } from './change-kind.ts'

/** A kind with something to change, opened for one test. */
export interface KindBench {
  readonly kind: ChangeKind
  /** A request that changes at least two targets and has one row that is refused. */
  readonly request: unknown
  close(): Promise<void>
}

const CONTEXT = { changeset: 'suite', title: 'a test', actor: 'key:test', atMs: 1_800_000_000_000 }

/** Registers the tests of a kind. */
export function changeKindSuite(name: string, open: () => Promise<KindBench>): void {
  const withBench = async (run: (bench: KindBench) => Promise<void>): Promise<void> => {
    const bench = await open()
    try {
      await run(bench)
    } finally {
      await bench.close()
    }
  }
  describe(`the kind of change ${name}`, () => {
    it('names each target of a request once, and refuses a row for itself', () =>
      withBench(async ({ kind, request }) => {
        const { targets, refused } = await planned(kind, request)
        assert.ok(targets.length >= 2 && refused >= 1)
        assert.equal(new Set(targets).size, targets.length)
      }))

    it('reads what it wrote, and writes what was before', () =>
      withBench(async ({ kind, request }) => {
        const { targets, values } = await planned(kind, request)
        const before = await kind.read(targets)
        const done = await kind.write(writesOf(targets, before, values, 'there'), CONTEXT)
        assert.deepEqual(done, targets.map(() => 'written')) // prettier-ignore
        const after = await kind.read(targets)
        assert.deepEqual(after.map(({ value }) => value), values) // prettier-ignore
        const was = before.map(({ value }) => value)
        assert.notDeepEqual(values, was)
        await kind.write(writesOf(targets, after, was, 'back'), CONTEXT)
        const again = await kind.read(targets)
        assert.deepEqual(again.map(({ value }) => value), was) // prettier-ignore
      }))

    it('writes at the version that was read, and nothing at another', () =>
      withBench(async ({ kind, request }) => {
        const { targets, values } = await planned(kind, request)
        const before = await kind.read(targets)
        const [first] = targets as [string]
        await kind.write(writesOf([first], before, values, 'one'), CONTEXT)
        const late = await kind.write(writesOf(targets, before, values, 'late'), CONTEXT)
        assert.deepEqual(late, targets.map((_, index) => (index === 0 ? 'moved' : 'written'))) // prettier-ignore
        const after = await kind.read(targets)
        assert.deepEqual(after.map(({ value }) => value), values) // prettier-ignore
        assert.notEqual(after[0]?.version, before[0]?.version)
      }))
  })
}

function writesOf(
  targets: readonly string[],
  readings: readonly Reading[],
  values: readonly unknown[],
  name: string,
): readonly Write[] {
  return targets.map((target, index) => ({
    target,
    value: values[index],
    version: readings[index]?.version ?? 0,
    id: `${name}-${index}`,
  }))
}

async function planned(
  kind: ChangeKind,
  request: unknown,
): Promise<{ targets: readonly string[]; values: readonly unknown[]; refused: number }> {
  const targets: string[] = []
  const values: unknown[] = []
  let refused = 0
  for await (const row of kind.plan(request)) {
    if (isRefusedRow(row)) {
      refused += 1
      continue
    }
    const [reading] = await kind.read([row.target])
    const changed = row.change(reading?.value)
    if ('refused' in changed) refused += 1
    else {
      targets.push(row.target)
      values.push(changed.value)
    }
  }
  return { targets, values, refused }
}
