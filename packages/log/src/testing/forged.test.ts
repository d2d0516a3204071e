import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import type { FuzzTarget } from '@millrace/sim'
import { targets } from './fuzz.ts'

/** The first frame of a split file: behind its header and that of its first block. */
const FRAME = 64 + 16

const put = (from: string, to: string) => (bytes: Buffer) => {
  assert.equal(from.length, to.length)
  const at = bytes.indexOf(from)
  assert.ok(at >= 0, from)
  bytes.write(to, at, 'latin1')
}

/** Changes that keep the file whole, and what the refusal says of each. */
const forgeries: Record<string, readonly (readonly [RegExp, (bytes: Buffer) => void])[]> = {
  journal: [
    [/payload is not the JSON/, put('{"number":59', '["number":59')],
    [/text of a frame is not JSON/, put('{"streams"', '["streams"')],
    [/says what no log writes/, put('"names"', '"nomes"')],
    [/begins without its checkpoint/, bytes => bytes.writeUInt8(2, 64 + 48 + 4)],
    [/wrong length/, bytes => bytes.writeUInt32LE(0, 64 + 48)],
    [/text of a frame is longer/, bytes => bytes.writeUInt32LE(0xffff_fff0, 64 + 48 + 8)],
    [/no unit has/, bytes => bytes.writeDoubleLE(Number.NaN, 64 + 16)],
  ],
  split: [
    [/payload is not the JSON/, put('{"number":0', '["number":0')],
    [/no type number 9/, bytes => bytes.writeUInt16LE(9, FRAME + 10)],
    [/a block is not/, bytes => bytes.writeDoubleLE(7, FRAME + 40)],
    [/a block is not/, bytes => bytes.writeUInt32LE(0xffff_fff0, FRAME + 32)],
    [/a block is not/, bytes => bytes.writeUInt8(8, FRAME + 5)],
    [/a block is not/, bytes => bytes.writeUInt8(16, FRAME + 5)],
    [/its footer is not/, bytes => bytes.writeDoubleLE(1e9, bytes.length - 128 + 32)],
    [/its index is not/, bytes => bytes.writeDoubleLE(1e15, bytes.readDoubleLE(bytes.length - 128 + 24))], // prettier-ignore
    [/its index is not/, bytes => bytes.writeUInt32LE(0xffff_ffff, bytes.readDoubleLE(bytes.length - 128 + 40))], // prettier-ignore
  ],
  'ids-manifest': [
    [/is not JSON/, put('{"format":1', '["format":1')],
    [/names no format/, put('"format"', '"farmot"')],
    [/secret has the wrong length/, put('"secret"', '"socret"')],
    [/says what no index writes/, put('"runs":[', '"rans":[')],
    [/says what no index writes/, put('"mark"', '"mork"')],
  ],
}

for (const [name, changes] of Object.entries(forgeries)) {
  test(`${name}: content that nobody wrote is refused, though its checksum is right`, async () => {
    const target = targets.find(one => one.name === name) as FuzzTarget
    const { valid, reseal } = await target.corpus()
    await target.run(Buffer.from(valid[0] as Uint8Array))
    for (const [said, forge] of changes) {
      const bytes = Buffer.from(valid[0] as Uint8Array)
      forge(bytes)
      reseal?.(bytes)
      await assert.rejects(
        async () => await target.run(bytes),
        error => {
          assert.ok(isError(error, 'LOG_DAMAGED'), String(error))
          assert.match(error.message, said)
          return true
        },
        String(said),
      )
    }
  })
}
