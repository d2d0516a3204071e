/** Entries of a map as chunks of JSON, for snapshots: `[[key, value], ...]` per chunk. */

const ENTRIES_PER_CHUNK = 500

/** Encodes entries; small chunks, since the loop gives way between them. */
export function* encodeEntries(
  entries: Iterable<readonly [string, unknown]>,
): Iterable<Uint8Array> {
  let batch: (readonly [string, unknown])[] = []
  for (const entry of entries) {
    batch.push(entry)
    if (batch.length < ENTRIES_PER_CHUNK) continue
    yield Buffer.from(JSON.stringify(batch), 'utf8')
    batch = []
  }
  // One chunk at least: an empty shard is restored by it, too.
  yield Buffer.from(JSON.stringify(batch), 'utf8')
}

/** Reads what `encodeEntries` wrote. */
export function* decodeEntries(chunks: readonly Uint8Array[]): Iterable<[string, unknown]> {
  for (const chunk of chunks) {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('utf8')
    yield* JSON.parse(text) as [string, unknown][]
  }
}
