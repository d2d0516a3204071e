/** What the columns of the tables mean, and how much goes into one row. */

/** Bits of `record_rows.flags`. */
export const FLAG = {
  history: 1,
  envelope: 2,
  /** Its id is not remembered. */
  unique: 4,
  /** It is found under the keys in `key_places` and not under its own. */
  keysApart: 8,
} as const

/** Places in one row of `key_places` at most: it stays so small that it is neither moved out nor compressed. */
export const KEY_PLACES_MAX = 256
/** Records in one row of `blocks` at most: whoever wants one of them reads them all. */
export const BLOCK_RECORDS_MAX = 128
/** A block that has so many characters gets no further record. */
export const BLOCK_LENGTH_MAX = 32 * 1024
