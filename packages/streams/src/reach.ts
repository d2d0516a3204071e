/**
 * Positions through hops. A position names offsets of the streams that come from outside; a fold
 * behind a re-keying one consumes another stream. Each step of the re-keying fold tells up to which
 * end its targets hold what was emitted because of records before the step's end: with these marks a
 * position is carried forward (`reached`) and back (`reflected`). Marks of steps long past are
 * forgotten; then a later one is taken, which can only wait for more or claim less.
 */
import { partitionName, type Position } from '@millrace/core'
import type { FoldRunner } from './runner.ts'

/** Circles of folds feed themselves; a position is carried round this often. */
const ROUNDS_MAX = 8

/** True for a stream that only folds write: entity kinds, which name the streams of events from outside, have no dot. */
export function isInner(stream: string): boolean {
  return stream.includes('.')
}

/** The folds that emit, directly or through others, to the sources of `folds`, sources first. */
export function upstreamOf(
  folds: readonly FoldRunner[],
  all: readonly FoldRunner[],
): readonly FoldRunner[] {
  const found = new Set<FoldRunner>()
  const visit = (stream: string): void => {
    for (const runner of all) {
      if (found.has(runner) || !runner.definition.targets?.includes(stream)) continue
      found.add(runner)
      visit(runner.definition.source)
    }
  }
  for (const runner of folds) visit(runner.definition.source)
  return [...found].reverse()
}

/**
 * What `folds` must have consumed to have reached `position`; undefined while a fold in between has
 * not come far enough to tell.
 */
export function carryForward(
  position: Position,
  upstream: readonly FoldRunner[],
): Position | undefined {
  const needed = new Map(position)
  for (let round = 0; round < ROUNDS_MAX; round++) {
    let hasChanged = false
    for (const runner of upstream) {
      for (const { lane, writer } of runner.lanes) {
        const offset = needed.get(partitionName(runner.definition.source, lane.partition)) ?? 0
        if (offset === 0 || writer === undefined) continue
        const ends = writer.endsAfter(offset)
        if (ends === undefined) return undefined
        for (const [name, end] of ends) {
          if (end <= (needed.get(name) ?? 0)) continue
          needed.set(name, end)
          hasChanged = true
        }
      }
    }
    if (!hasChanged) break
  }
  return needed
}

/** True when the fold has consumed all that `needed` names of its source. */
export function hasConsumed(runner: FoldRunner, needed: Position): boolean {
  for (const { lane } of runner.lanes) {
    const offset = needed.get(partitionName(runner.definition.source, lane.partition)) ?? 0
    if (lane.consumed < offset) return false
  }
  return true
}

/** The greatest known position of outside streams that the fold certainly reflects. */
export function carryBack(
  runner: FoldRunner,
  all: readonly FoldRunner[],
  tables: readonly FoldRunner[],
): Map<string, number> {
  const reflected = new Map<string, number>()
  const visited = new Set<FoldRunner>([runner])
  const lower = (name: string, offset: number): void => {
    const known = reflected.get(name)
    if (known === undefined || offset < known) reflected.set(name, offset)
  }
  const visit = (stream: string, position: Position): void => {
    for (const emitter of all) {
      if (!emitter.definition.targets?.includes(stream) || visited.has(emitter)) continue
      visited.add(emitter)
      const source = new Map<string, number>()
      for (const { lane, writer } of emitter.lanes) {
        const consumed = writer?.consumedWhere(ends => covers(position, ends, stream)) ?? 0
        source.set(partitionName(emitter.definition.source, lane.partition), consumed)
      }
      visit(emitter.definition.source, source)
    }
    if (isInner(stream)) return
    for (const [name, offset] of position) lower(name, offset)
  }
  visit(runner.definition.source, runner.position())
  for (const table of tables) visit(table.definition.source, table.position())
  return reflected
}

function covers(position: Position, ends: Position, stream: string): boolean {
  const prefix = `${stream}/`
  for (const [name, end] of ends) {
    if (name.startsWith(prefix) && (position.get(name) ?? 0) < end) return false
  }
  return true
}
