/** A token bucket: so many requests a second on average, and so many at once. */

/** What a caller may ask for. */
export interface RateLimit {
  readonly requestsPerSecond: number
  /** Requests that may come at once. */
  readonly burst: number
}

/** The bucket of one caller. */
export interface RateBucket {
  /** Takes a request at a monotonic time: 0 when it may go on, otherwise milliseconds until one may. */
  take(nowMs: number): number
}

/** Creates a full bucket. */
export function createRateBucket({ requestsPerSecond, burst }: RateLimit): RateBucket {
  const perMs = requestsPerSecond / 1000
  let tokens = burst
  let filledMs = -Infinity
  return {
    take(nowMs) {
      tokens = Math.min(burst, tokens + Math.max(0, nowMs - filledMs) * perMs)
      filledMs = Math.max(filledMs, nowMs)
      if (tokens >= 1) {
        tokens -= 1
        return 0
      }
      return Math.ceil((1 - tokens) / perMs)
    },
  }
}
