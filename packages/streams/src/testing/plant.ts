/** Plants wrong rows in a snapshot: what a broken disk, a broken build or a broken hand leaves behind. */
import type { SnapshotStore } from '@millrace/store'

/** Rows that were planted, as `kind partition/key`. */
export type Planted = ReadonlySet<string>

const HEADER = 1
const KEYS = 3

interface Row {
  readonly key: string
  readonly state: Buffer
}

/**
 * Changes one row of `every` of each partition of a snapshot, leaves the next one out, and adds one
 * that nobody wrote. The states hold a number.
 */
export async function plantIn(
  snapshots: SnapshotStore,
  name: string,
  every: number,
): Promise<Planted> {
  const snapshot = await snapshots.load(name)
  if (snapshot === undefined) throw new Error(`there is no snapshot ${name}`)
  const planted = new Set<string>()
  const chunks: Buffer[] = []
  let partition = 0
  let row = 0
  for await (const chunk of snapshot.chunks) {
    const bytes = Buffer.from(chunk)
    if (bytes[0] === HEADER) {
      partition = (JSON.parse(bytes.toString('utf8', 1)) as { partition: number }).partition
    }
    if (bytes[0] !== KEYS) {
      chunks.push(bytes)
      continue
    }
    const rows: Row[] = []
    for (const { key, state } of rowsOf(bytes)) {
      const turn = row++ % every
      if (turn === 0) {
        planted.add(`changed ${partition}/${key}`)
        rows.push({ key, state: withNextNumber(state) })
      } else if (turn === 1) {
        planted.add(`missing ${partition}/${key}`)
        rows.push({ key: `ghost-${key}`, state })
        planted.add(`extra ${partition}/ghost-${key}`)
      } else {
        rows.push({ key, state })
      }
    }
    chunks.push(chunkOf(rows))
  }
  await snapshots.save(name, snapshot.meta, chunks)
  return planted
}

function withNextNumber(state: Buffer): Buffer {
  const text = state.toString('utf8')
  return Buffer.from(text.replace(/\d+/, number => String(Number(number) + 1)))
}

function rowsOf(chunk: Buffer): readonly Row[] {
  const rows: Row[] = []
  for (let at = 1; at < chunk.length;) {
    const keyEnd = at + 8 + chunk.readUInt32LE(at)
    const stateEnd = keyEnd + chunk.readUInt32LE(at + 4)
    rows.push({
      key: chunk.toString('utf8', at + 8, keyEnd),
      state: chunk.subarray(keyEnd, stateEnd),
    })
    at = stateEnd
  }
  return rows
}

function chunkOf(rows: readonly Row[]): Buffer {
  const parts = rows.flatMap(({ key, state }) => {
    const name = Buffer.from(key)
    const lengths = Buffer.alloc(8)
    lengths.writeUInt32LE(name.length, 0)
    lengths.writeUInt32LE(state.length, 4)
    return [lengths, name, state]
  })
  return Buffer.concat([Buffer.of(KEYS), ...parts])
}
