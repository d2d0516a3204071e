/** Ids of all kinds from a seeded source, for tests and measurements. */
import type { Random } from '@millrace/core'

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** A UUID of a version at a time. */
export function uuidAt(random: Random, timeMs: number, version: 4 | 7 | 8): string {
  const bytes = random.fill(new Uint8Array(16))
  if (version !== 4) {
    const high = Math.floor(timeMs / 65_536)
    bytes[0] = Math.floor(high / 2 ** 24)
    bytes[1] = (high >>> 16) & 0xff
    bytes[2] = (high >>> 8) & 0xff
    bytes[3] = high & 0xff
    bytes[4] = (timeMs >>> 8) & 0xff
    bytes[5] = timeMs & 0xff
  }
  bytes[6] = (version << 4) | ((bytes[6] as number) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  let text = ''
  for (let at = 0; at < 16; at++) {
    text += HEX[bytes[at] as number]
    if (at === 3 || at === 5 || at === 7 || at === 9) text += '-'
  }
  return text
}
