/** Every limit of the file log by name. Sizes are bytes, times are milliseconds. */

const KIB = 1024
const MIB = 1024 * KIB

/** Limits of the file log; each has a default. */
export interface FileLogOptions {
  /** Size at which the journal goes on in its next segment. Default 64 MiB. */
  readonly segmentBytes?: number
  /** Size of the first segment of an empty log, so that a small log stays small. Default 8 MiB. */
  readonly firstSegmentBytes?: number
  /** Zeros written per call while a segment is preallocated. Default 1 MiB. */
  readonly preallocateChunkBytes?: number
  /** Bytes accepted and not yet durable above which commits are refused (LOG_OVERLOADED). Default 64 MiB. */
  readonly queueBytesMax?: number
  /** Greatest commit. Default 128 MiB. */
  readonly unitBytesMax?: number
  /** Bytes of the newest records kept in memory with their data already parsed. Default 8 MiB. */
  readonly tailBytesMax?: number
  /** Bytes asked from a file at once. Default 1 MiB. */
  readonly readBytes?: number
  /** Size of a block of a split file: the unit of its checksum and of its sparse index. Default 64 KiB. */
  readonly blockBytes?: number
  /** Adjacent split files of a partition are merged up to this size. Default 64 MiB. */
  readonly splitFileBytesMax?: number
  /** How many adjacent files of similar size of a partition are merged at once. Default 8. */
  readonly mergeFiles?: number
  /** How long a slice of splitting may hold the main loop. Default 4 ms. */
  readonly sliceMs?: number
  /** Open split files. Default 256. */
  readonly openFilesMax?: number
  /** Blocks of split files kept in memory for single records. Default 128. */
  readonly blockCacheMax?: number
  /** How often the retention of transient streams is applied. Default 60,000 ms. */
  readonly retentionEveryMs?: number
  /** Steps kept in memory per processor and source partition. Default 256. */
  readonly stepsKept?: number
  /** Ids given to the duplicate index before it is asked whether it wants to write. Default 4,096. */
  readonly idsPerCheckpoint?: number
  /** Memory of the duplicate index. Default 64 MiB. */
  readonly idMemoryBytesMax?: number
}

/** The options with their defaults filled in. */
export type FileLogLimits = Required<FileLogOptions>

/** Fills in the defaults. */
export function limitsOf(options: FileLogOptions): FileLogLimits {
  return {
    segmentBytes: 64 * MIB,
    firstSegmentBytes: Math.min(options.segmentBytes ?? 64 * MIB, 8 * MIB),
    preallocateChunkBytes: MIB,
    queueBytesMax: 64 * MIB,
    unitBytesMax: 128 * MIB,
    tailBytesMax: 8 * MIB,
    readBytes: MIB,
    blockBytes: 64 * KIB,
    splitFileBytesMax: 64 * MIB,
    mergeFiles: 8,
    sliceMs: 4,
    openFilesMax: 256,
    blockCacheMax: 128,
    retentionEveryMs: 60_000,
    stepsKept: 256,
    idsPerCheckpoint: 4_096,
    idMemoryBytesMax: 64 * MIB,
    ...options,
  }
}
