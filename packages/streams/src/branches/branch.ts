/** One branch: see `contract.ts`. */
import { partitionName, partitionOf } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import type { CorrectionResult } from '../corrections/control.ts'
import { streamsErrors } from '../errors.ts'
import type { FoldShard } from '../fold.ts'
import { isKeyedByPeople } from '../identity/people.ts'
import type { Places } from '../past/places.ts'
import type { FoldRunner } from '../runner.ts'
import { viewFoldName } from '../views/compile.ts'
import type { ReadableShard } from '../views/reader.ts'
import type { ChangedWorld } from './changed.ts'
import type {
  Branch,
  BranchChanges,
  BranchEstimate,
  BranchFold,
  BranchLimits,
  BranchPeople,
  BranchState,
  BranchViewReader,
  BranchWorld,
  CompareRequest,
  FoldDifferences,
  FoldWaiting,
} from './contract.ts'
import { Differences } from './differences.ts'
import { assertWithin } from './estimate.ts'
import type { Ground } from './ground.ts'
import type { Lane } from '../lane.ts'
import type { Overlay } from './overlay.ts'
import { isMany } from './pass.ts'
import type { RequestedPeople } from './people.ts'
import type { FoundCorrections, RequestedCorrections } from './requested.ts'
import { WholeFolds } from './whole.ts'
import { Work } from './work.ts'
import type { KeyImage, Trunk, World } from './world.ts'

/** What a branch is made of. */
export interface BranchParts {
  readonly id: string
  readonly ground: Ground
  readonly overlay: Overlay
  readonly without: Trunk
  readonly corrected: RequestedCorrections
  /** The world with the changes, once the corrected events were found. */
  readonly worldOf: (found: FoundCorrections) => ChangedWorld
  readonly changes: BranchChanges
  readonly people: RequestedPeople
  readonly estimate: BranchEstimate
  readonly isSampled: boolean
  readonly limits: BranchLimits
  /** Names of folds that have other code. */
  readonly replaced: ReadonlySet<string>
  /** Shared by all branches. */
  readonly places: Places
  readonly runnerOf: (fold: string) => FoldRunner
  /** Somebody asked it something. */
  readonly onUse: () => void
  readonly onClose: () => void
}

const SAMPLES_MAX = 20
/** Keys whose states are held at once while they are compared. */
const KEYS_AT_ONCE = 256

/** See the head of the file. */
export class OpenBranch implements Branch {
  readonly id: string
  readonly position: Branch['position']
  readonly changes: BranchChanges
  readonly estimate: BranchEstimate
  readonly isSampled: boolean
  /** Set by whoever throws it away. */
  expiresAtMs = Infinity
  readonly #parts: BranchParts
  #isClosed = false
  #changed: ChangedWorld | undefined
  readonly #wholes = new Map<World, WholeFolds>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: BranchParts) {
    this.#parts = parts
    this.id = parts.id
    this.position = parts.ground.instant.position
    this.changes = parts.changes
    this.estimate = parts.estimate
    this.isSampled = parts.isSampled
  }

  get overlay(): { readonly keys: number; readonly bytes: number } {
    const sizes = [this.#parts.overlay, ...this.#wholes.values()].map(({ size }) => size)
    return {
      keys: sizes.reduce((sum, { keys }) => sum + keys, 0),
      bytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
    }
  }

  async state<Shard extends FoldShard = FoldShard>({
    fold,
    key,
    world: name = 'with',
  }: {
    readonly fold: string
    readonly key: string
    readonly world?: BranchWorld
  }): Promise<BranchState<Shard>> {
    const runner = this.#parts.runnerOf(fold)
    return await this.#inTurn(async work => {
      const world = await this.#worldOf(name)
      const image = await this.#parts.places.run(async () => {
        await world.settle(runner, work)
        return await world.state(runner, key, work)
      })
      const { isParked, watermarkMs } = image
      return { shard: world.shardOf(runner, key, image) as Shard, isParked, watermarkMs }
    })
  }

  view<Out = unknown>(name: string): BranchViewReader<Out> {
    const fold = viewFoldName(name)
    const isOfPeople = isKeyedByPeople(this.#parts.runnerOf(fold).definition.source)
    return {
      get: async asked => {
        const key = isOfPeople ? this.people().canonical(asked) : asked
        const state = await this.state<FoldShard & ReadableShard>({ fold, key })
        const { shard, isParked, watermarkMs } = state
        return { key, value: shard.read(key) as Out | undefined, isParked, watermarkMs }
      },
    }
  }

  async whole<T>(
    {
      folds,
      world: name = 'with',
    }: { readonly folds: readonly string[]; readonly world?: BranchWorld },
    take: (folds: ReadonlyMap<string, BranchFold>) => T,
  ): Promise<T> {
    const { runnerOf, places, limits } = this.#parts
    const runners = folds.map(runnerOf)
    return await this.#inTurn(async work => {
      const world = await this.#worldOf(name)
      if (name === 'with') this.#assertMayFold(runners)
      let wholes = this.#wholes.get(world)
      if (wholes === undefined) {
        wholes = new WholeFolds(world, limits.bytesMax)
        this.#wholes.set(world, wholes)
      }
      return await places.run(() => wholes.read(runners, work, take))
    })
  }

  async compare({ folds, samplesMax = SAMPLES_MAX, onDifference }: CompareRequest = {}): Promise<
    readonly FoldDifferences[]
  > {
    const { ground, runnerOf } = this.#parts
    const runners =
      folds?.map(runnerOf) ??
      ground.ports.runners.filter(({ definition }) => definition.readKey !== undefined)
    return await this.#inTurn(async work => {
      const compared: FoldDifferences[] = []
      for (const runner of runners) {
        compared.push(await this.#compareFold(runner, work, samplesMax, onDifference))
      }
      return compared
    })
  }

  async waiting(): Promise<readonly FoldWaiting[]> {
    const { runners } = this.#parts.ground.ports
    return await this.#inTurn(async work => {
      const changed = await this.#world()
      const waiting: FoldWaiting[] = []
      for (const runner of runners) {
        const { isRekeying, onFailure } = runner.definition
        if (isRekeying === true || onFailure !== 'park') continue
        const keys = await this.#waitingIn(changed, runner, work)
        const samples = keys.slice(0, SAMPLES_MAX)
        if (keys.length > 0) waiting.push({ fold: runner.name, keys: keys.length, samples })
      }
      return waiting
    })
  }

  async results(): Promise<readonly CorrectionResult[]> {
    this.#assertOpen()
    this.#parts.onUse()
    return (await this.#found()).results
  }

  people(world: BranchWorld = 'with'): BranchPeople {
    const { ground, people } = this.#parts
    const { corrected, ports } = ground
    if (world === 'with') return people
    return {
      canonical: id => ports.book.people.canonicalAt(id, corrected),
      members: id => ports.book.people.membersAt(id, corrected),
    }
  }

  async moved(): Promise<readonly string[]> {
    this.#assertOpen()
    this.#parts.onUse()
    const { ports, corrected, instant } = this.#parts.ground
    const { book, log } = ports
    await book.follow()
    const { corrections = [], events = [], links = [] } = this.changes
    const names = corrections.flatMap(({ id }) => {
      const history = book.entry(id)?.history ?? []
      return history.some(({ at }) => at >= corrected) ? [id] : []
    })
    for (const { from } of links) {
      if (book.people.history(from).some(({ at }) => at >= corrected)) names.push(from)
    }
    for (const { stream, key } of events) {
      const place = partitionName(stream, partitionOf(key, partitionsOf(log, stream)))
      const end = instant.position.get(place) ?? 0
      const name = `${stream}/${key}`
      if ((await log.version({ stream, key })) > end && !names.includes(name)) names.push(name)
    }
    return names
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#parts.onClose()
  }

  async #found(): Promise<FoundCorrections> {
    const { corrected, places } = this.#parts
    return await places.run(() => corrected.all())
  }

  async #worldOf(name: BranchWorld): Promise<World> {
    return name === 'with' ? await this.#world() : this.#parts.without
  }

  /** The world with the changes. */
  async #world(): Promise<ChangedWorld> {
    return (this.#changed ??= this.#parts.worldOf(await this.#found()))
  }

  /** One question after the other: what one finds out the next one knows. */
  async #inTurn<T>(ask: (work: Work) => Promise<T>): Promise<T> {
    this.#assertOpen()
    const { limits, onUse } = this.#parts
    const turn = this.#turn.then(async () => {
      this.#assertOpen()
      onUse()
      return await ask(new Work(limits.recordsMax))
    })
    this.#turn = turn.catch(() => undefined)
    return await turn.finally(() => {
      this.#changed?.release()
      onUse()
    })
  }

  #assertOpen(): void {
    if (this.#isClosed) throw streamsErrors.create('BRANCH_UNKNOWN', { branch: this.id })
  }

  async #compareFold(
    runner: FoldRunner,
    work: Work,
    samplesMax: number,
    onDifference: CompareRequest['onDifference'],
  ): Promise<FoldDifferences> {
    const { places } = this.#parts
    const changed = await this.#world()
    this.#assertMayFold([runner])
    await places.run(() => changed.settle(runner, work))
    const found = new Differences(runner.name, samplesMax, onDifference)
    for (const laneRunner of runner.lanes) await this.#compareLane(runner, laneRunner, work, found)
    return found.told()
  }

  /** The touched keys of a fold that wait with the changes and not without them. */
  async #waitingIn(changed: ChangedWorld, runner: FoldRunner, work: Work): Promise<string[]> {
    const { places, without } = this.#parts
    await places.run(() => changed.settle(runner, work))
    const waiting: string[] = []
    for (const part of partsOf([...(await changed.touched(runner))].sort())) {
      const after = await places.run(() => changed.states(runner, part, work))
      const parked = part.filter(key => after.get(key)?.isParked === true)
      const before = await places.run(() => without.states(runner, parked, work))
      waiting.push(...parked.filter(key => before.get(key)?.isParked === false))
    }
    return waiting
  }

  /** Compares what may differ of one lane, key by key; the many keys of another definition in one pass. */
  async #compareLane(
    runner: FoldRunner,
    { lane: live }: FoldRunner['lanes'][number],
    work: Work,
    found: Differences,
  ): Promise<void> {
    const { without, places } = this.#parts
    const changed = await this.#world()
    const isReplaced = changed.isReplaced(runner)
    const own = isReplaced
      ? [...live.shard.keys()]
      : [...(await changed.touched(runner))].filter(key => runner.laneOf(key).lane === live)
    const whole =
      isReplaced || isMany(own.length, live)
        ? await places.run(() => changed.wholeLane(runner, live.partition, work))
        : undefined
    const keys = isReplaced ? new Set([...own, ...(whole?.shard.keys() ?? [])]) : own
    for (const part of partsOf([...keys].sort())) {
      // Its place is free again while somebody reads what was found.
      const [before, after] = await places.run(async () => {
        const images = await without.states(runner, part, work)
        // Those that wait there are folded apart from the keys that wait with them.
        const alone = whole === undefined ? part : part.filter(key => whole.parked.has(key))
        return [images, await changed.states(runner, alone, work)]
      })
      for (const key of part) {
        const image = after.get(key)
        const is =
          image === undefined
            ? valueOf(changed, runner, whole as Lane, key)
            : valueIn(changed, runner, key, image)
        await found.add(key, valueIn(without, runner, key, before.get(key) as KeyImage), is)
      }
    }
  }

  /** Throws BRANCH_TOO_LARGE, with the estimate, where other code would fold more than the limits. */
  #assertMayFold(runners: readonly FoldRunner[]): void {
    const { estimate, limits, replaced } = this.#parts
    const names = new Set(runners.map(({ name }) => name).filter(name => replaced.has(name)))
    assertWithin(
      estimate.folds.filter(({ fold }) => names.has(fold)),
      limits,
    )
  }
}

function partitionsOf(log: Pick<EventLog, 'stats'>, stream: string): number {
  return log.stats().streams.find(each => each.stream === stream)?.partitions.length ?? 1
}

function* partsOf(keys: readonly string[]): Generator<readonly string[]> {
  for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) yield keys.slice(at, at + KEYS_AT_ONCE)
}

/** What a read of a key gives; of a fold that has no reads what it keeps, where that is JSON. */
function valueIn(world: World, runner: FoldRunner, key: string, image: KeyImage): unknown {
  if (image.bytes === undefined) return undefined
  const { readKey } = world.definitionOf(runner)
  if (readKey !== undefined) return readKey(world.shardOf(runner, key, image), key)
  return jsonIn(image.bytes)
}

/** The same of a lane that has all keys. */
function valueOf(world: World, runner: FoldRunner, { shard }: Lane, key: string): unknown {
  const { readKey } = world.definitionOf(runner)
  if (readKey !== undefined) return readKey(shard, key)
  const bytes = shard.encodeKey(key)
  return bytes === undefined ? undefined : jsonIn(bytes)
}

function jsonIn(state: Uint8Array): unknown {
  const bytes = Buffer.from(state)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return bytes.toString('base64')
  }
}
