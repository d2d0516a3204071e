import type { Clock, Random } from './ports.ts'

/** The clock of the machine. Timers do not keep the process alive. Node only. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  soon: task => void setImmediate(task),
}

/**
 * The clock of the machine for programs that wait for what they scheduled, such as a client that
 * tries again: timers keep a Node process alive. Runs in browsers too.
 */
export const foregroundClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  soon: task => void setTimeout(task, 0),
}

/** Bytes fetched from the system at once: a call costs more than the few bytes that an id needs. */
const ahead = new Uint8Array(4_096)
let aheadUsed = ahead.length

/** Copies bytes that were fetched ahead, each once, and wipes them there. */
function fillFromAhead<Target extends Uint8Array>(target: Target): Target {
  if (aheadUsed + target.length > ahead.length) {
    crypto.getRandomValues(ahead)
    aheadUsed = 0
  }
  for (let at = 0; at < target.length; at++, aheadUsed++) {
    target[at] = ahead[aheadUsed] as number
    ahead[aheadUsed] = 0
  }
  return target
}

/** Randomness of the machine: `next` is fast and not secret, `fill` is cryptographic. */
export const systemRandom: Random = {
  next: () => Math.random(),
  fill: target =>
    target.length <= 64
      ? fillFromAhead(target)
      : crypto.getRandomValues(target as Uint8Array<ArrayBuffer>),
}

/** A repeatable source from a 32-bit seed (SplitMix-style mixing, as in Bryc's mulberry32). Not secret. */
export function createSeededRandom(seed: number): Random {
  let state = seed >>> 0
  const next32 = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    next: () => (next32() * 2 ** 21 + (next32() >>> 11)) / 2 ** 53,
    fill(target) {
      for (let index = 0; index < target.length; index++) target[index] = next32() & 0xff
      return target
    },
  }
}
