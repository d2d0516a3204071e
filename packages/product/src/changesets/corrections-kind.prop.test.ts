/**
 * Random changesets of corrections over a few events, applied, taken back and applied again in any
 * order, across restarts, against a naive model: what is in force for each event, and what profiles
 * and statistics of items say of those that count. At the end every key is what a rebuild gives.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { createMemoryStore, openMemoryLog } from '@millrace/log/memory'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import type { CorrectionAction, FoldShard } from '@millrace/streams'
import fc from 'fast-check'
import { clipsApp } from '../testing/clips-app.ts'
import { createTestClock, openTestProduct, type TestProduct } from '../testing/open-product.ts'
import type { OnMoved } from './events.ts'

const PROFILE_FOLD = 'profile'
const ITEM_STATS_FOLD = 'item-stats'
const EVENTS = 9
const PEOPLE = ['ana', 'ben', 'bot']
const CLIPS = 3
const ACTOR = 'key:test'
const RUNS = Number(process.env['MILLRACE_PROP_RUNS'] ?? 12)

/** Where the state of an item says how many signals it has. */
const COUNT_AT = 1

interface ProfileShard extends FoldShard {
  interactions(person: string, limit: number): readonly { readonly item: string }[]
}

/** What is in force for an event; undefined: it counts as it was sent. */
type InForce = { readonly action: string; readonly data?: unknown } | undefined

interface Change {
  readonly event: number
  readonly do: CorrectionAction
  readonly clip: number
}

interface Sent {
  readonly id: string
  readonly data: { readonly viewer: string; readonly clip: string; readonly ms: number }
}

interface Planned {
  readonly name: string
  readonly entries: ReadonlyMap<number, { readonly before: InForce; readonly after: InForce }>
  readonly applied: Set<number>
}

type Command =
  | { readonly type: 'write'; readonly change: Change }
  | { readonly type: 'plan'; readonly changes: readonly Change[] }
  | { readonly type: 'apply' | 'undo'; readonly which: number; readonly onMoved: OnMoved }
  | { readonly type: 'restart' }

const change = fc.record<Change>({
  event: fc.nat(EVENTS - 1),
  do: fc.constantFrom('retract', 'retract', 'hold', 'correct', 'restore'),
  clip: fc.nat(CLIPS - 1),
})
const run = (type: 'apply' | 'undo'): fc.Arbitrary<Command> =>
  fc.record({
    type: fc.constant(type),
    which: fc.nat(5),
    onMoved: fc.constantFrom<OnMoved>('refuse', 'skip', ...(type === 'undo' ? (['overwrite'] as const) : [])), // prettier-ignore
  })
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: fc.constant('write' as const), change }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('plan' as const),
      changes: fc.uniqueArray(change, { selector: ({ event }) => event, minLength: 1, maxLength: 5 }), // prettier-ignore
    }),
  },
  { weight: 6, arbitrary: run('apply') },
  { weight: 6, arbitrary: run('undo') },
  { weight: 1, arbitrary: fc.constant({ type: 'restart' as const }) },
)

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

test(`corrections nested in any order are a naive model of them (${RUNS} runs)`, async t => {
  const app = clipsApp()
  const clock = createTestClock(1_800_000_000_000)
  const store = createMemoryStore()
  const snapshots = createMemorySnapshotStore()
  const open = (): Promise<TestProduct> =>
    openTestProduct(app, { clock, snapshots, log: openMemoryLog({ clock, store }) })
  const world: World = {
    product: await open(),
    async restart() {
      await world.product.close()
      world.product = await open()
      await world.product.settle()
    },
  }
  let trials = 0
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 20 }), commands =>
        new Trial(world, `w${trials++}`).all(commands),
      ),
      { numRuns: RUNS, seed: 4 },
    )
    const all = world.product.changesets.list({ limit: Infinity })
    const runs = all.reduce((sum, view) => sum + (view.run?.run ?? 0), 0)
    t.diagnostic(`${all.length} changesets, ${runs} runs of them`)
    assert.ok(runs > RUNS)
  } finally {
    await world.product.close()
  }
})

interface World {
  product: TestProduct
  restart(): Promise<void>
}

/** One sequence of commands, on events of its own. */
class Trial {
  readonly #world: World
  readonly #prefix: string
  readonly #sent: readonly Sent[]
  readonly #inForce = new Map<number, InForce>()
  readonly #planned: Planned[] = []

  constructor(world: World, prefix: string) {
    this.#world = world
    this.#prefix = prefix
    this.#sent = Array.from({ length: EVENTS }, (_, number) => ({
      id: `${prefix}-${number}`,
      data: {
        viewer: `${prefix}-${PEOPLE[number % PEOPLE.length]}`,
        clip: `${prefix}-c${((number * 5) % 7) % CLIPS}`,
        ms: 1_000 + number,
      },
    }))
  }

  async all(commands: readonly Command[]): Promise<void> {
    const events = this.#sent.map(({ id, data }, number) => {
      return { type: 'watched', id, data, atMs: 1_799_000_000_000 + number * 1_000 }
    })
    await this.#world.product.track(events)
    for (const one of commands) {
      await this.#do(one)
      await this.#world.product.settle()
      this.#compare()
    }
    const { streams } = this.#world.product
    const people = PEOPLE.map(name => `${this.#prefix}-${name}`)
    const clips = Array.from({ length: CLIPS }, (_, clip) => `clip/${this.#prefix}-c${clip}`)
    const profiles = await streams.rebuild({ fold: PROFILE_FOLD, keys: people })
    const statistics = await streams.rebuild({ fold: ITEM_STATS_FOLD, keys: clips })
    assert.deepEqual([profiles.different, statistics.different], [[], []])
  }

  /** What the product says is what anybody would make of the events that count. */
  #compare(): void {
    const { streams } = this.#world.product
    const profiles = streams.fold<ProfileShard>(PROFILE_FOLD)
    const statistics = streams.fold(ITEM_STATS_FOLD)
    const recent = new Map<string, string[]>()
    const counts = new Map<string, number>()
    for (const [number, { id, data: own }] of this.#sent.entries()) {
      const inForce = this.#inForce.get(number)
      const last = streams.corrections.of(id).at(-1)
      assert.equal(last?.action, inForce?.action, id)
      if (inForce !== undefined && inForce.action !== 'correct') continue
      const { viewer, clip } = (inForce?.data ?? own) as Sent['data']
      const others = (recent.get(viewer) ?? []).filter(other => other !== `clip/${clip}`)
      recent.set(viewer, [`clip/${clip}`, ...others])
      counts.set(clip, (counts.get(clip) ?? 0) + 1)
    }
    for (const name of PEOPLE) {
      const person = `${this.#prefix}-${name}`
      const found = profiles.shardOf(person).interactions(person, EVENTS)
      assert.deepEqual(found.map(({ item }) => item), recent.get(person) ?? [], person) // prettier-ignore
    }
    for (let number = 0; number < CLIPS; number++) {
      const clip = `${this.#prefix}-c${number}`
      const count = statistics.shardOf(`clip/${clip}`).encodeKey(`clip/${clip}`)?.[COUNT_AT] ?? 0
      assert.equal(count, counts.get(clip) ?? 0, clip)
    }
  }

  async #do(one: Command): Promise<void> {
    switch (one.type) {
      case 'write':
        return this.#write(one.change)
      case 'plan':
        return this.#plan(one.changes)
      case 'restart':
        return this.#world.restart()
      default:
        return this.#run(one)
    }
  }

  /** The data of `correct`: of another clip, and never what was sent. */
  #dataOf({ event, clip }: Change): Sent['data'] {
    const { data } = this.#sent[event] as Sent
    return { ...data, clip: `${this.#prefix}-c${clip}`, ms: 5 + clip }
  }

  #inForceBy(change: Change): InForce {
    if (change.do === 'restore') return undefined
    return change.do === 'correct'
      ? { action: 'correct', data: this.#dataOf(change) }
      : { action: change.do }
  }

  /** Somebody corrects an event beside all changesets. */
  async #write(change: Change): Promise<void> {
    const { id } = this.#sent[change.event] as Sent
    const data = change.do === 'correct' ? { data: this.#dataOf(change) } : {}
    await this.#world.product.streams.corrections.apply({
      corrections: [{ id, action: change.do, ...data }],
      reason: 'a test',
      by: ACTOR,
    })
    this.#inForce.set(change.event, this.#inForceBy(change))
  }

  async #plan(changes: readonly Change[]): Promise<void> {
    const name = `${this.#prefix}-${this.#planned.length}`
    const rows = changes.map(given => ({
      id: this.#sent[given.event]?.id,
      do: given.do,
      ...(given.do === 'correct' ? { data: this.#dataOf(given) } : {}),
    }))
    const entries = new Map<number, { before: InForce; after: InForce }>()
    for (const given of changes) {
      const [before, after] = [this.#inForce.get(given.event), this.#inForceBy(given)]
      if (!isSame(before, after)) entries.set(given.event, { before, after })
    }
    const { changesets } = this.#world.product
    const planning = changesets.plan({ id: name, kind: 'corrections', request: { rows } }, ACTOR)
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
    const { changesets } = this.#world.product
    const open = [...planned.entries].filter(([event]) => planned.applied.has(event) !== isApply)
    const running = changesets[type](planned.name, { onMoved }, ACTOR)
    if (open.length === 0) {
      // Done already, or never begun.
      await running.catch((error: unknown) => assert.ok(isError(error, 'CHANGESET_STATE')))
      assert.equal((await changesets.settled(planned.name)).applied, planned.applied.size)
      return
    }
    const sidesOf = ({ before, after }: { before: InForce; after: InForce }) => isApply ? { from: before, to: after } : { from: after, to: before } // prettier-ignore
    const isMoved = open.some(([event, entry]) => !isSame(this.#inForce.get(event), sidesOf(entry).from)) // prettier-ignore
    if (isMoved && onMoved === 'refuse') {
      await assert.rejects(running, (error: unknown) => isError(error, 'CHANGESET_STALE'))
      return
    }
    await running
    const view = await changesets.settled(planned.name)
    for (const [event, entry] of open) {
      const { from, to } = sidesOf(entry)
      const present = this.#inForce.get(event)
      if (!isSame(present, from) && !isSame(present, to) && onMoved !== 'overwrite') continue
      this.#inForce.set(event, to)
      if (isApply) planned.applied.add(event)
      else planned.applied.delete(event)
    }
    assert.equal(view.applied, planned.applied.size)
  }
}
