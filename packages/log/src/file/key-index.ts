/**
 * The keys of records that were in the journal when the log was opened. Opening only notes where
 * these records are; their keys are taken from the bytes when somebody asks for a key for the first
 * time, or when the segment is split, whichever comes first.
 */
import { partitionOf } from '@millrace/core'
import { readText } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { frameField } from './frames.ts'
import { KeyChains, hashOfKey } from './key-chains.ts'
import { FLAG, KIND, RECORD_HEADER_BYTES, UNIT_HEADER_BYTES } from './layout.ts'
import type { JournalPart, Partition, StreamTable } from './partition.ts'
import type { Segment } from './segment.ts'
import { unitsOf } from './unit-cursor.ts'

/** Makes the key chains of records that were found on open. */
export class KeyIndex {
  readonly #streams: StreamTable
  readonly #readBytes: number
  readonly #running = new Map<Segment, Promise<void>>()

  constructor(streams: StreamTable, readBytes: number) {
    this.#streams = streams
    this.#readBytes = readBytes
  }

  /** Resolves when the keys of every record that a partition has in the journal are in its chains. */
  async complete(partition: Partition): Promise<void> {
    for (;;) {
      const pending = partition.parts.find(part => part.isPending)
      if (pending === undefined) return
      const { segment } = pending
      const running = this.#running.get(segment) ?? this.#index(segment)
      this.#running.set(segment, running)
      try {
        await running
      } finally {
        this.#running.delete(segment)
      }
    }
  }

  /** One pass over a segment serves all partitions that have records in it. */
  async #index(segment: Segment): Promise<void> {
    const owners = new Map<Partition, { part: JournalPart; chains: KeyChains }>()
    for (const partition of this.#streams.partitions()) {
      const part = partition.parts.find(candidate => candidate.segment === segment)
      if (part?.isPending === true) owners.set(partition, { part, chains: new KeyChains() })
    }
    segment.readers += 1
    try {
      for await (const { bytes, unit } of unitsOf(segment, this.#readBytes, segment.recoveredTo)) {
        const end = unit.at + unit.length
        for (let at = unit.at + UNIT_HEADER_BYTES; at < end; at += frameField.length(bytes, at)) {
          if (frameField.kind(bytes, at) !== KIND.record) continue
          const stream = this.#streams.at(frameField.stream(bytes, at))
          const partition = stream?.partitions[frameField.partition(bytes, at)] as Partition
          const owner = owners.get(partition)
          if (owner === undefined) continue
          const record = frameField.offset(bytes, at) - owner.part.first
          forEachKeyHash(bytes, at, partition.home, hash => owner.chains.add(hash, record))
        }
      }
      for (const { part, chains } of owners.values()) part.older = chains
    } finally {
      segment.readers -= 1
    }
  }
}

/** A partition, as far as it decides which keys are found there. */
interface Home {
  readonly partition: number
  /** Partitions of its stream. */
  readonly partitions: number
}

/** Visits the hash of every key under which the record of a frame is found in its partition, each once. */
export function forEachKeyHash(
  bytes: Bytes,
  at: number,
  home: Home,
  visit: (hash: number) => void,
): void {
  const { u8, u16 } = bytes
  const tenant = frameField.tenant(bytes, at)
  const keyStart = at + RECORD_HEADER_BYTES
  const keyBytes = u16[(at >> 1) + 9] as number
  if (((u8[at + 5] as number) & FLAG.keys) === 0) {
    if (isAtHome(u8, keyStart, keyBytes, home)) visit(hashOfBytes(tenant, u8, keyStart, keyBytes))
    return
  }
  let next = keyStart + keyBytes + (u16[(at >> 1) + 10] as number)
  const count = u8.readUInt16LE(next)
  next += 2
  const seen: number[] = []
  for (let key = 0; key < count; key++) {
    const length = u8.readUInt16LE(next)
    next += 2
    if (isAtHome(u8, next, length, home)) {
      const hash = hashOfBytes(tenant, u8, next, length)
      if (!seen.includes(hash)) {
        seen.push(hash)
        visit(hash)
      }
    }
    next += length
  }
}

function isAtHome(u8: Buffer, at: number, length: number, home: Home): boolean {
  const { partition, partitions } = home
  return partitions === 1 || partitionOfBytes(u8, at, length, partitions) === partition
}

/** `hashOfKey` of UTF-8 bytes, without a string when they are ASCII. */
export function hashOfBytes(tenant: number, u8: Buffer, at: number, length: number): number {
  let hash = 0x811c9dc5 ^ Math.imul(tenant + 1, 0x9e3779b1)
  for (let index = at; index < at + length; index++) {
    const byte = u8[index] as number
    if (byte > 0x7f) return hashOfKey(tenant, readText(u8, at, length))
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39)
  return (hash ^ (hash >>> 15)) >>> 0
}

/** `partitionOf` of UTF-8 bytes, without a string when they are ASCII. */
export function partitionOfBytes(
  u8: Buffer,
  at: number,
  length: number,
  partitions: number,
): number {
  let hash = 0x811c9dc5
  for (let index = at; index < at + length; index++) {
    const byte = u8[index] as number
    if (byte > 0x7f) return partitionOf(readText(u8, at, length), partitions)
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions
}
