/** One branch: see `contract.ts`. */
import { partitionName, partitionOf } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import type { CorrectionResult } from '../corrections/control.ts'
import { streamsErrors } from '../errors.ts'
import type { FoldShard } from '../fold.ts'
import type { Places } from '../past/places.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import { canonicalText } from '../views/canonical.ts'
import { viewFoldName } from '../views/compile.ts'
import type { ReadableShard } from '../views/reader.ts'
import type { ChangedWorld } from './changed.ts'
import type {
  Branch,
  BranchChanges,
  BranchEstimate,
  BranchFold,
  BranchLimits,
  BranchState,
  BranchViewReader,
  BranchWorld,
  CompareRequest,
  FieldDifference,
  FoldDifferences,
} from './contract.ts'
import { differentFields } from './fields.ts'
import type { Ground } from './ground.ts'
import type { Overlay } from './overlay.ts'
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
  readonly estimate: BranchEstimate
  readonly isSampled: boolean
  readonly limits: BranchLimits
  /** Shared by all branches. */
  readonly places: Places
  readonly runnerOf: (fold: string) => FoldRunner
  /** Somebody asked it something. */
  readonly onUse: () => void
  readonly onClose: () => void
}

const SAMPLES_MAX = 20

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
    return {
      get: async key => {
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

  async results(): Promise<readonly CorrectionResult[]> {
    this.#assertOpen()
    this.#parts.onUse()
    return (await this.#found()).results
  }

  async moved(): Promise<readonly string[]> {
    this.#assertOpen()
    this.#parts.onUse()
    const { ports, corrected, instant } = this.#parts.ground
    const { book, log } = ports
    await book.follow()
    const { corrections = [], events = [] } = this.changes
    const names = corrections.flatMap(({ id }) => {
      const history = book.entry(id)?.history ?? []
      return history.some(({ at }) => at >= corrected) ? [id] : []
    })
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
    return await turn.finally(onUse)
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
    const { without, ground, places } = this.#parts
    const changed = await this.#world()
    await places.run(() => changed.settle(runner, work))
    const slices = new Slices(ground.ports.clock, ground.ports.sliceMs)
    const counts = { changed: 0, added: 0, removed: 0 }
    const fields = new Map<string, number>()
    const samples: FieldDifference[] = []
    const keys = [...(await changed.touched(runner))].sort()
    for (const key of keys) {
      // Its place is free again while somebody reads what was found.
      const [before, after] = await places.run(async () => [
        valueIn(without, runner, key, await without.state(runner, key, work)),
        valueIn(changed, runner, key, await changed.state(runner, key, work)),
      ])
      await slices.pause()
      if (canonicalText([before]) === canonicalText([after])) continue
      counts[before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'] += 1
      const different = differentFields(before, after)
      for (const name of new Set(different.map(({ field }) => field.replace(/\[\d+\]/g, '[]')))) {
        fields.set(name, (fields.get(name) ?? 0) + 1)
      }
      for (const field of different) {
        const difference = { fold: runner.name, key, ...field }
        if (samples.length < samplesMax) samples.push(difference)
        await onDifference?.(difference)
      }
    }
    return {
      fold: runner.name,
      keys: keys.length,
      ...counts,
      fields: Object.fromEntries([...fields].sort()),
      samples,
    }
  }
}

function partitionsOf(log: Pick<EventLog, 'stats'>, stream: string): number {
  return log.stats().streams.find(each => each.stream === stream)?.partitions.length ?? 1
}

/** What a read of a key gives; of a fold that has no reads what it keeps, where that is JSON. */
function valueIn(world: World, runner: FoldRunner, key: string, image: KeyImage): unknown {
  if (image.bytes === undefined) return undefined
  const { readKey } = world.definitionOf(runner)
  if (readKey !== undefined) return readKey(world.shardOf(runner, key, image), key)
  const bytes = Buffer.from(image.bytes)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return bytes.toString('base64')
  }
}
