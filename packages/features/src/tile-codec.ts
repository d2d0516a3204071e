/** The tiles of an entity as canonical bytes; the head of `feature-shard.ts` has the layout. */
import type { ByteReader, ByteWriter } from '@millrace/core'
import { decodePartial, encodePartial } from './partials.ts'
import type { TileGroup } from './plan.ts'
import type { TileRows } from './tile-rows.ts'

/** Writes the tiles of an entity behind `limit`. */
export function encodeTiles(
  writer: ByteWriter,
  group: TileGroup,
  rows: TileRows,
  [entity, limit]: readonly [entity: number, limit: number],
): void {
  const { cells, stride } = rows
  const first = rows.indexOf(entity, limit + 1)
  const length = rows.lengthOf(entity)
  writer.count(length - first)
  for (let tile = first, at = rows.at(entity, first); tile < length; tile++, at += stride) {
    writer.float64(cells[at] as number)
    for (const feature of group.features) encodePartial(writer, rows, at, feature)
  }
}

/** Reads what `encodeTiles` wrote into an entity without tiles. */
export function decodeTiles(
  reader: ByteReader,
  group: TileGroup,
  rows: TileRows,
  entity: number,
): void {
  for (let count = reader.count(); count > 0; count--) {
    const at = rows.row(entity, reader.float64(), -Infinity)
    for (const feature of group.features) decodePartial(reader, rows, at, feature)
  }
}
