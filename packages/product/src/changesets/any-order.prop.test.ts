/**
 * Random changesets of corrections, merges and splits, and items, applied, undone and applied again in
 * any order, beside writes of others and restarts, against a naive model: the value of each target,
 * and what profiles and statistics of items say. At the end every view is what a rebuild gives, and
 * once all is taken back what it was before, byte for byte.
 *
 * A thousand of them: `MILLRACE_PROP_RUNS=1000 node scripts/test.ts any-order`; others: `MILLRACE_PROP_SEED=7`.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { createMemoryStore, openMemoryLog } from '@millrace/log/memory'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import type { CorrectionAction, FoldShard } from '@millrace/streams'
import fc from 'fast-check'
import { clipsApp, rankedClips } from '../testing/clips-app.ts'
import { createTestClock, openTestProduct, type TestProduct } from '../testing/open-product.ts'
import type { OnMoved } from './events.ts'

const PROFILE_FOLD = 'profile'
const ITEM_STATS_FOLD = 'item-stats'
const EVENTS = 9
const PEOPLE = 4
const CLIPS = 3
const ACTOR = 'key:test'
const RUNS = Number(process.env['MILLRACE_PROP_RUNS'] ?? 20)
/** Trials of one log: a start reads what all of them did. */
const TRIALS_OF_A_LOG = 20
/** Where the state of an item says how many signals it has. */
const COUNT_AT = 1

interface ProfileShard extends FoldShard {
  interactions(person: string, limit: number): readonly { readonly item: string }[]
}

type Kind = 'corrections' | 'identities' | 'catalogue'
/** JSON; undefined: none. */
type Value = Readonly<Record<string, unknown>> | undefined

/** A change: of which target, and to what; the numbers mean what the kind makes of them. */
interface Change {
  readonly target: number
  readonly verb: number
  readonly to: number
}

interface Planned {
  readonly name: string
  readonly kind: Kind
  readonly entries: ReadonlyMap<string, { readonly before: Value; readonly after: Value }>
  readonly applied: Set<string>
}

type Command =
  | { readonly type: 'write'; readonly kind: Kind; readonly change: Change }
  | { readonly type: 'plan'; readonly kind: Kind; readonly changes: readonly Change[] }
  | { readonly type: 'apply' | 'undo'; readonly which: number; readonly onMoved: OnMoved }
  | { readonly type: 'restart' }

const kind = fc.constantFrom<Kind>('corrections', 'corrections', 'identities', 'identities', 'catalogue') // prettier-ignore
const change = fc.record<Change>({ target: fc.nat(EVENTS - 1), verb: fc.nat(4), to: fc.nat(8) })
const run = (type: 'apply' | 'undo'): fc.Arbitrary<Command> =>
  fc.record({
    type: fc.constant(type),
    which: fc.nat(7),
    onMoved: fc.constantFrom<OnMoved>('refuse', 'skip', ...(type === 'undo' ? (['overwrite'] as const) : [])), // prettier-ignore
  })
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: fc.constant('write' as const), kind, change }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('plan' as const),
      kind,
      changes: fc.array(change, { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 6, arbitrary: run('apply') },
  { weight: 6, arbitrary: run('undo') },
  { weight: 1, arbitrary: fc.constant({ type: 'restart' as const }) },
)

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
const rowOf = (title: string): Value => ({ title, topics: [], creator: 'c', note: '' })

test(`changesets of every kind nested in any order are a naive model of them (${RUNS} runs)`, async t => {
  let world: World | undefined
  let trials = 0
  let runs = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 5, maxLength: 20, size: 'max' }),
      async commands => {
        if (trials % TRIALS_OF_A_LOG === 0) {
          runs += (await world?.close()) ?? 0
          world = await World.open()
        }
        await new Trial(world as World, `w${trials++}`).all(commands)
      },
    ),
    { numRuns: RUNS, endOnFailure: true },
  )
  runs += (await world?.close()) ?? 0
  t.diagnostic(`${runs} runs of changesets`)
  assert.ok(runs > RUNS / 2)
})

/** A product that is restarted. */
class World {
  readonly #app = clipsApp({}, rankedClips.features)
  readonly #clock = createTestClock(1_800_000_000_000)
  readonly #store = createMemoryStore()
  readonly #snapshots = createMemorySnapshotStore()
  product!: TestProduct

  static async open(): Promise<World> {
    const world = new World()
    await world.#open()
    return world
  }

  async #open(): Promise<void> {
    const [clock, store, snapshots] = [this.#clock, this.#store, this.#snapshots]
    const log = openMemoryLog({ clock, store })
    this.product = await openTestProduct(this.#app, { clock, snapshots, log })
  }

  async restart(): Promise<void> {
    await this.product.close()
    await this.#open()
    await this.product.settle()
  }

  /** Every view is what a rebuild gives; gives how many runs there were. */
  async close(): Promise<number> {
    const { streams, changesets } = this.product
    for (const { name } of streams.status()) {
      assert.deepEqual((await streams.rebuild({ fold: name })).different, [], name)
    }
    const all = changesets.list({ limit: Infinity })
    await this.product.close()
    return all.reduce((sum, view) => sum + (view.run?.run ?? 0), 0)
  }
}

/** One sequence of commands, on targets of its own. */
class Trial {
  readonly #world: World
  readonly #prefix: string
  readonly #sent: readonly { readonly id: string; readonly data: Sent }[]
  readonly #people: readonly string[]
  readonly #clips: readonly string[]
  /** What holds, by target; of those that have a value. */
  readonly #values = new Map<string, Value>()
  readonly #planned: Planned[] = []

  constructor(world: World, prefix: string) {
    this.#world = world
    this.#prefix = prefix
    this.#people = Array.from({ length: PEOPLE }, (_, number) => `${prefix}-p${number}`)
    this.#clips = Array.from({ length: CLIPS }, (_, number) => `${prefix}-c${number}`)
    this.#sent = Array.from({ length: EVENTS }, (_, number) => ({
      id: `${prefix}-${number}`,
      data: {
        viewer: this.#people[number % (PEOPLE - 1)] as string,
        clip: this.#clips[((number * 5) % 7) % CLIPS] as string,
        ms: 1_000 + number,
      },
    }))
  }

  async all(commands: readonly Command[]): Promise<void> {
    const { product } = this.#world
    const events = this.#sent.map(({ id, data }, number) => {
      return { type: 'watched', id, data: { ...data }, atMs: 1_799_000_000_000 + number * 1_000 }
    })
    await product.track(events)
    for (const clip of this.#clips.slice(1)) await this.#put(clip, rowOf('first'))
    await product.settle()
    const original = new Map(this.#values)
    const before = this.#hashes()
    for (const one of commands) {
      await this.#do(one)
      await this.#world.product.settle()
      this.#compare()
    }
    await this.#assertRebuilt()
    await this.#takeBack(original)
    await this.#world.product.settle()
    this.#compare()
    await this.#assertRebuilt()
    assert.deepEqual(this.#hashes(), before)
  }

  #keys(): Readonly<Record<string, readonly string[]>> {
    return {
      [PROFILE_FOLD]: this.#people,
      [ITEM_STATS_FOLD]: this.#clips.map(clip => `clip/${clip}`),
      'feature.clipStats': this.#clips,
      'feature.taste': this.#people,
    }
  }

  async #assertRebuilt(): Promise<void> {
    const { streams } = this.#world.product
    for (const [fold, keys] of Object.entries(this.#keys())) {
      assert.deepEqual((await streams.rebuild({ fold, keys })).different, [], fold)
    }
  }

  /** The state of every view of events, key by key. */
  #hashes(): Readonly<Record<string, string>> {
    const { streams } = this.#world.product
    const found: Record<string, string> = {}
    for (const [name, keys] of Object.entries(this.#keys())) {
      for (const key of keys) {
        const bytes = streams.fold(name).shardOf(key).encodeKey(key)
        const hash = bytes === undefined ? 'none' : createHash('sha256').update(bytes).digest('hex')
        found[`${name} ${key}`] = hash
      }
    }
    return found
  }

  /** Every changeset, the last one first, then what others wrote beside them. */
  async #takeBack(original: ReadonlyMap<string, Value>): Promise<void> {
    for (const [which, planned] of [...this.#planned.entries()].reverse()) {
      if (planned.applied.size > 0) await this.#run({ type: 'undo', which, onMoved: 'overwrite' })
    }
    // Splits first: a circle is closed by none.
    for (const isSplit of [true, false]) {
      for (const kind of ['corrections', 'identities', 'catalogue'] as const) {
        for (const target of this.#targets(kind)) {
          const value = original.get(target)
          const isDone = isSame(this.#values.get(target), value)
          if (!isDone && (value === undefined) === isSplit) await this.#set(kind, target, value)
        }
      }
    }
    assert.deepEqual(Object.fromEntries(this.#values), Object.fromEntries(original))
  }

  #targets(kind: Kind): readonly string[] {
    if (kind === 'corrections') return this.#sent.map(({ id }) => id)
    return kind === 'identities' ? this.#people : this.#clips
  }

  /** What the product says is what anybody would make of what holds. */
  #compare(): void {
    const { streams, catalogue } = this.#world.product
    const profiles = streams.fold<ProfileShard>(PROFILE_FOLD)
    const statistics = streams.fold(ITEM_STATS_FOLD)
    const seen = new Map<string, Set<string>>()
    const counts = new Map<string, number>()
    for (const { id, data: own } of this.#sent) {
      const inForce = this.#values.get(id)
      assert.equal(streams.corrections.of(id).at(-1)?.action, inForce?.['action'], id)
      if (inForce !== undefined && inForce['action'] !== 'correct') continue
      const { viewer, clip } = (inForce?.['data'] ?? own) as Sent
      const person = this.#who(viewer)
      seen.set(person, (seen.get(person) ?? new Set()).add(`clip/${clip}`))
      counts.set(clip, (counts.get(clip) ?? 0) + 1)
    }
    for (const person of this.#people) {
      assert.equal(streams.identities.canonical(person), this.#who(person))
      const found = profiles.shardOf(person).interactions(person, EVENTS)
      assert.deepEqual(found.map(({ item }) => item).sort(), [...(seen.get(person) ?? [])].sort(), person) // prettier-ignore
    }
    for (const clip of this.#clips) {
      const key = `clip/${clip}`
      assert.equal(statistics.shardOf(key).encodeKey(key)?.[COUNT_AT] ?? 0, counts.get(clip) ?? 0, clip) // prettier-ignore
      assert.deepEqual(catalogue.get('clip', clip)?.attributes, this.#values.get(clip), clip)
    }
  }

  #who(id: string): string {
    const into = this.#values.get(id)?.['into'] as string | undefined
    return into === undefined ? id : this.#who(into)
  }

  async #do(one: Command): Promise<void> {
    switch (one.type) {
      case 'write': {
        const { target, value } = this.#meant(one.kind, one.change)
        return await this.#set(one.kind, target, value)
      }
      case 'plan':
        return await this.#plan(one.kind, one.changes)
      case 'restart':
        return await this.#world.restart()
      default:
        return await this.#run(one)
    }
  }

  /** What a change makes of a target. */
  #meant(kind: Kind, { target: at, verb, to }: Change): { target: string; value: Value } {
    const targets = this.#targets(kind)
    const target = targets[at % targets.length] as string
    if (kind === 'identities') {
      const into = this.#people[to % PEOPLE] as string
      return { target, value: verb < 2 || into === target ? undefined : { into } }
    }
    if (kind === 'catalogue') return { target, value: verb === 0 ? undefined : rowOf(`title ${to % 3}`) } // prettier-ignore
    const action = ['retract', 'hold', 'correct', 'correct', undefined][verb]
    if (action !== 'correct') return { target, value: action === undefined ? undefined : { action } } // prettier-ignore
    const { data } = this.#sent[at] as { data: Sent }
    return { target, value: { action, data: { ...data, clip: this.#clips[to % CLIPS], ms: 5 + to } } } // prettier-ignore
  }

  /** True when the value can be: nobody becomes a part of themselves. */
  #mayBe(target: string, value: Value): boolean {
    for (
      let each = value?.['into'];
      each !== undefined;
      each = this.#values.get(each as string)?.['into']
    ) {
      if (each === target) return false
    }
    return true
  }

  #note(target: string, value: Value): void {
    if (value === undefined) this.#values.delete(target)
    else this.#values.set(target, value)
  }

  async #put(clip: string, value: Value): Promise<void> {
    const { catalogue } = this.#world.product
    if (value === undefined) await catalogue.remove('clip', { id: clip })
    else await catalogue.put('clip', [{ id: clip, attributes: value }])
    this.#note(clip, value)
  }

  /** Somebody writes a value beside all changesets. */
  async #set(kind: Kind, target: string, value: Value): Promise<void> {
    const { streams } = this.#world.product
    const facts = { reason: 'a test', by: ACTOR }
    if (kind === 'catalogue') return await this.#put(target, value)
    if (kind === 'identities') {
      const into = (value?.['into'] as string | undefined) ?? null
      const { results } = await streams.identities.apply({ links: [{ from: target, into }], ...facts }) // prettier-ignore
      assert.equal(results[0]?.status !== 'refused', this.#mayBe(target, value))
      if (!this.#mayBe(target, value)) return
    } else {
      const { action = 'restore', data } = (value ?? {}) as {
        action?: CorrectionAction
        data?: unknown
      }
      const correction = { id: target, action, ...(data === undefined ? {} : { data }) }
      await streams.corrections.apply({ corrections: [correction], ...facts })
    }
    this.#note(target, value)
  }

  async #plan(kind: Kind, changes: readonly Change[]): Promise<void> {
    const name = `${this.#prefix}-${this.#planned.length}`
    const wanted = new Map<string, Value>()
    for (const given of changes) {
      const { target, value } = this.#meant(kind, given)
      if (!wanted.has(target)) wanted.set(target, value)
    }
    const entries = new Map<string, { before: Value; after: Value }>()
    for (const [target, after] of wanted) {
      const before = this.#values.get(target)
      if (!isSame(before, after)) entries.set(target, { before, after })
    }
    const rows = [...wanted].map(([target, value]) => rowOfRequest(kind, target, value))
    const request = kind === 'catalogue' ? { table: 'clip', rows } : { rows }
    const planning = this.#world.product.changesets.plan({ id: name, kind, request }, ACTOR)
    if (entries.size === 0) {
      await assert.rejects(planning, (error: unknown) => isError(error, 'CHANGESET_INVALID'))
      return
    }
    assert.equal((await planning).effects, entries.size)
    this.#planned.push({ name, kind, entries, applied: new Set() })
  }

  async #run({ type, which, onMoved }: Extract<Command, { which: number }>): Promise<void> {
    const planned = this.#planned[which % Math.max(1, this.#planned.length)]
    if (planned === undefined) return
    const isApply = type === 'apply'
    const { changesets } = this.#world.product
    const open = [...planned.entries].filter(([target]) => planned.applied.has(target) !== isApply)
    const running = changesets[type](planned.name, { onMoved }, ACTOR)
    if (open.length === 0) {
      // Done already, or never begun.
      await running.catch((error: unknown) => assert.ok(isError(error, 'CHANGESET_STATE')))
      assert.equal((await changesets.settled(planned.name)).applied, planned.applied.size)
      return
    }
    const sidesOf = ({ before, after }: { before: Value; after: Value }) => isApply ? { from: before, to: after } : { from: after, to: before } // prettier-ignore
    const isMoved = open.some(([target, entry]) => !isSame(this.#values.get(target), sidesOf(entry).from)) // prettier-ignore
    if (isMoved && onMoved === 'refuse') {
      await assert.rejects(running, (error: unknown) => isError(error, 'CHANGESET_STALE'))
      return
    }
    await running
    const view = await changesets.settled(planned.name)
    for (const [target, entry] of open) {
      const { from, to } = sidesOf(entry)
      const present = this.#values.get(target)
      if (!isSame(present, from) && !isSame(present, to) && onMoved !== 'overwrite') continue
      if (!isSame(present, to) && !this.#mayBe(target, to)) continue
      this.#note(target, to)
      if (isApply) planned.applied.add(target)
      else planned.applied.delete(target)
    }
    assert.equal(view.applied, planned.applied.size)
  }
}

interface Sent {
  readonly viewer: string
  readonly clip: string
  readonly ms: number
}

function rowOfRequest(kind: Kind, target: string, value: Value): object {
  if (kind === 'identities') return { from: target, ...value }
  if (kind === 'catalogue') {
    return value === undefined ? { id: target, do: 'remove' } : { id: target, do: 'put', attributes: value } // prettier-ignore
  }
  const { action = 'restore', data } = value ?? {}
  return { id: target, do: action, ...(data === undefined ? {} : { data }) }
}
