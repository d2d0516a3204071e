/** Random changesets over a few items, applied, undone and redone in any order, against a naive model. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import fc from 'fast-check'
import { clipsApp } from '../testing/clips-app.ts'
import { openTestProduct, type TestProduct } from '../testing/open-product.ts'
import type { OnMoved } from './events.ts'

const IDS = ['a', 'b', 'c', 'd', 'e']
const ACTOR = 'key:test'
const RUNS = Number(process.env['MILLRACE_PROP_RUNS'] ?? 120)

type Row = Readonly<Record<string, unknown>>
type Rows = Map<string, Row>

interface Change {
  readonly id: string
  readonly do: 'put' | 'patch' | 'remove'
  readonly title: string
}

/** A changeset as the model keeps it: what each id had and is to have, and which of these hold. */
interface Planned {
  readonly name: string
  readonly entries: Map<
    string,
    { readonly before: Row | undefined; readonly after: Row | undefined }
  >
  readonly applied: Set<string>
}

type Command =
  | { readonly type: 'write'; readonly change: Change }
  | { readonly type: 'plan'; readonly changes: readonly Change[] }
  | { readonly type: 'apply' | 'undo'; readonly which: number; readonly onMoved: OnMoved }

const change = fc.record<Change>({
  id: fc.constantFrom(...IDS),
  do: fc.constantFrom('put', 'patch', 'remove'),
  title: fc.constantFrom('x', 'y', 'z'),
})
const run = (type: 'apply' | 'undo'): fc.Arbitrary<Command> =>
  fc.record({
    type: fc.constant(type),
    which: fc.nat(5),
    onMoved: fc.constantFrom<OnMoved>('refuse', 'refuse', 'skip', ...(type === 'undo' ? (['overwrite'] as const) : [])), // prettier-ignore
  })
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ type: fc.constant('write' as const), change }),
  fc.record({
    type: fc.constant('plan' as const),
    changes: fc.uniqueArray(change, { selector: ({ id }) => id, minLength: 1, maxLength: 4 }),
  }),
  run('apply'),
  run('apply'),
  run('undo'),
  run('undo'),
)

const rowOf = (title: string): Row => ({ title, topics: [], creator: 'c', note: '' })

function changed(present: Row | undefined, { do: verb, title }: Change): Row | undefined {
  if (verb === 'remove') return undefined
  return verb === 'put' ? rowOf(title) : { ...present, title }
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

test(`changesets nested in any order are a naive model of them (${RUNS} runs)`, async t => {
  const product = await openTestProduct(clipsApp())
  let world = 0
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 25 }), async commands => {
        await new Trial(product, `w${world++}`).all(commands)
      }),
      { numRuns: RUNS, seed: 4 },
    )
    const runs = product.changesets.list({ limit: Infinity }).map(({ run }) => run?.run ?? 0)
    t.diagnostic(
      `${runs.length} changesets, ${runs.reduce((sum, count) => sum + count, 0)} runs of them`,
    )
  } finally {
    await product.close()
  }
})

/** One sequence of commands, on ids of its own. */
class Trial {
  readonly #product: TestProduct
  readonly #prefix: string
  readonly #rows: Rows = new Map()
  readonly #planned: Planned[] = []

  constructor(product: TestProduct, prefix: string) {
    this.#product = product
    this.#prefix = prefix
  }

  async all(commands: readonly Command[]): Promise<void> {
    for (const one of commands) {
      await this.#do(one)
      await this.#product.settle()
      for (const id of IDS) {
        const found = this.#product.catalogue.get('clip', `${this.#prefix}-${id}`)?.attributes
        assert.deepEqual(found, this.#rows.get(id), id)
      }
    }
  }

  async #do(one: Command): Promise<void> {
    switch (one.type) {
      case 'write':
        return this.#write(one.change)
      case 'plan':
        return this.#plan(one.changes)
      default:
        return this.#run(one)
    }
  }

  #set(id: string, row: Row | undefined): void {
    if (row === undefined) this.#rows.delete(id)
    else this.#rows.set(id, row)
  }

  async #write(given: Change): Promise<void> {
    const { catalogue } = this.#product
    const id = `${this.#prefix}-${given.id}`
    if (given.do === 'remove') await catalogue.remove('clip', { id })
    else await catalogue.put('clip', [{ id, attributes: rowOf(given.title) }])
    this.#set(given.id, given.do === 'remove' ? undefined : rowOf(given.title))
  }

  async #plan(changes: readonly Change[]): Promise<void> {
    const name = `${this.#prefix}-${this.#planned.length}`
    const rows = changes.map(({ id, do: verb, title }) => ({
      id: `${this.#prefix}-${id}`,
      do: verb,
      ...(verb === 'remove' ? {} : { attributes: verb === 'put' ? rowOf(title) : { title } }),
    }))
    const entries: Planned['entries'] = new Map()
    for (const given of changes) {
      const before = this.#rows.get(given.id)
      if (given.do === 'patch' && before === undefined) continue
      const after = changed(before, given)
      if (!isSame(before, after)) entries.set(given.id, { before, after })
    }
    const request = { id: name, kind: 'catalogue', request: { table: 'clip', rows } }
    const planning = this.#product.changesets.plan(request, ACTOR)
    if (entries.size === 0) {
      await assert.rejects(planning, (error: unknown) => isError(error, 'CHANGESET_INVALID'))
      return
    }
    assert.equal((await planning).effects, entries.size)
    this.#planned.push({ name, entries, applied: new Set() })
  }

  async #run({ type, which, onMoved }: Extract<Command, { which: number }>): Promise<void> {
    const planned = this.#planned[which % Math.max(1, this.#planned.length)]
    if (planned === undefined) return
    const isApply = type === 'apply'
    const { changesets } = this.#product
    const open = [...planned.entries].filter(([id]) => planned.applied.has(id) !== isApply)
    const running = changesets[type](planned.name, { onMoved }, ACTOR)
    const before = await changesets.settled(planned.name)
    const sides = ({ before: was, after: is }: { before: Row | undefined; after: Row | undefined }) => isApply ? { from: was, to: is } : { from: is, to: was } // prettier-ignore
    if (open.length === 0) {
      // Done already, or never begun.
      await running.catch((error: unknown) => assert.ok(isError(error, 'CHANGESET_STATE')))
      assert.equal(before.applied, planned.applied.size)
      return
    }
    const moved = open.filter(([id, entry]) => !isSame(this.#rows.get(id), sides(entry).from))
    if (moved.length > 0 && onMoved === 'refuse') {
      await assert.rejects(running, (error: unknown) => isError(error, 'CHANGESET_STALE'))
      return
    }
    await running
    const view = await changesets.settled(planned.name)
    for (const [id, entry] of open) {
      const { from, to } = sides(entry)
      const present = this.#rows.get(id)
      if (!isSame(present, from) && !isSame(present, to) && onMoved !== 'overwrite') continue
      this.#set(id, to)
      if (isApply) planned.applied.add(id)
      else planned.applied.delete(id)
    }
    assert.equal(view.applied, planned.applied.size)
  }
}
