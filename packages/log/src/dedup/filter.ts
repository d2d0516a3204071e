/**
 * A split-block Bloom filter (Putze, Sanders, Singler, 2009; the Parquet format's SBBF): a key sets
 * one bit in each of the 8 words of one block, so a question costs one block. At 15 bits a key about
 * two new keys in a thousand are taken for known ones, and cost a page each; a known key is never missed.
 */

/** Words of a block. */
const BLOCK_WORDS = 8

const SALTS = Int32Array.of(
  0x47b6137b,
  0x44974d91,
  0x8824ad5b,
  0xa2b7289d,
  0x705495c7,
  0x2df1424b,
  0x9efc4947,
  0x5c6bfb31,
)

/** Adds a hash to the filter of `blocks` blocks (at most 65,535) at word `start`. */
export function addToFilter(words: Int32Array, start: number, blocks: number, hash: number): void {
  const at = blockOf(start, blocks, hash)
  const bits = spread(hash)
  for (let word = 0; word < BLOCK_WORDS; word++) {
    const bit = Math.imul(bits, SALTS[word] as number) >>> 27
    words[at + word] = (words[at + word] as number) | (1 << bit)
  }
}

/** False when the hash was certainly not added. */
export function mayHold(words: Int32Array, start: number, blocks: number, hash: number): boolean {
  const at = blockOf(start, blocks, hash)
  const bits = spread(hash)
  for (let word = 0; word < BLOCK_WORDS; word++) {
    const bit = Math.imul(bits, SALTS[word] as number) >>> 27
    if (((words[at + word] as number) & (1 << bit)) === 0) return false
  }
  return true
}

function blockOf(start: number, blocks: number, hash: number): number {
  return start + (((hash >>> 16) * blocks) >>> 16) * BLOCK_WORDS
}

/** Another hash from the first, so that block and bits are independent. */
function spread(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return mixed ^ (mixed >>> 13)
}
