/** Events of about 250 bytes, as an ingest hands them over: id and data parsed from JSON, beside the bytes of the data. */
import { createIdSource, createSeededRandom, systemClock } from '@millrace/core'
import type { NewEvent } from '@millrace/log'

export const STREAM = 'watched'
const KEYS = 20_000

/** Makes events with ordered ids; the same content for the same seed, but for the ids. */
export function createEventSource(seed: number): (count: number) => NewEvent[] {
  const random = createSeededRandom(seed)
  const newId = createIdSource({ clock: systemClock, random })
  return count =>
    Array.from({ length: count }, () => {
      const key = `viewer-${Math.floor(random.next() * KEYS)}`
      const sent = {
        viewer: key,
        clip: `clip-${Math.floor(random.next() * 5_000)}`,
        watchedMs: Math.floor(random.next() * 60_000),
        surface: 'home',
        device: 'a-phone-of-some-kind',
        session: newId(),
        note: 'x'.repeat(60),
      }
      const text = JSON.stringify(sent)
      const payload = Buffer.from(text, 'utf8')
      const { id, data } = JSON.parse(`{"id":"${newId()}","data":${text}}`) as {
        id: string
        data: typeof sent
      }
      return {
        stream: STREAM,
        type: 'watched',
        key: data.viewer,
        id,
        eventTimeMs: 1_750_000_000_000,
        data,
        payload,
      }
    })
}

/** Bytes of an event without the framing of a log: its payload, id and key. */
export function bytesOf(event: NewEvent): number {
  return (event.payload?.length ?? 0) + event.id.length + event.key.length
}

/** The middle of some numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
