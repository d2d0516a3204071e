/**
 * The ports: everything that a Millrace process needs from the outside world. Code takes them as
 * parameters, so that the same code runs on a machine and under a seeded simulation.
 */

/** A pending task of a clock. */
export interface Timer {
  /** Forgets the task; harmless when it has run. */
  cancel(): void
}

/** Time and scheduling. */
export interface Clock {
  /** Wall-clock time, milliseconds since 1970-01-01T00:00:00Z. May jump in either direction. */
  nowMs(): number
  /** Time for measuring durations, milliseconds from an arbitrary origin. Never goes back. */
  monotonicMs(): number
  /** Runs `task` once after at least `delayMs` milliseconds; does not keep the process alive. */
  after(delayMs: number, task: () => void): Timer
  /** Runs `task` once after pending I/O had its turn; the way to yield in long loops. */
  soon(task: () => void): void
}

/** Randomness. A seeded one makes a run repeatable. */
export interface Random {
  /** A number in [0, 1), 53 random bits where the source has them. */
  next(): number
  /** Fills `target` with random bytes and returns it. */
  fill(target: Uint8Array): Uint8Array
}

/** An open file. Offsets and lengths are bytes. */
export interface DiskFile {
  /** Reads up to `length` bytes from `position` into `target` at `offset`; resolves to the number read, 0 at the end. */
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /** Writes all `length` bytes of `source` from `offset` at `position`, or rejects; a rejected write may have written a part. */
  write(source: Uint8Array, offset: number, length: number, position: number): Promise<void>
  /** Resolves when all that was written is on the medium (fdatasync). After a rejection nothing written since the last success may be trusted. */
  sync(): Promise<void>
  /**
   * A write that resolves when its own bytes are on the medium: `write` and `sync` in one call, for
   * those who wait for both. Fails as either of them. Absent where the disk has no such call.
   */
  writeThrough?(source: Uint8Array, offset: number, length: number, position: number): Promise<void>
  truncate(size: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/** A file system under one root; paths are relative, separated by `/`. */
export interface Disk {
  /** Opens a file: `read` refuses one that is missing (DISK_NOT_FOUND), `write` creates it (read and write), `create` creates it and refuses one that exists (DISK_EXISTS). */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile>
  /** The names in a directory, sorted; empty when the directory is missing. */
  list(directory: string): Promise<readonly string[]>
  makeDirectory(directory: string): Promise<void>
  /** Replaces `to` atomically. Durable after `syncDirectory` of its directory. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file, or a directory with all that is in it; harmless when missing. */
  remove(path: string): Promise<void>
  /** Makes the names in a directory durable. */
  syncDirectory(directory: string): Promise<void>
  /** Size in bytes, undefined when missing. */
  sizeOf(path: string): Promise<number | undefined>
  /** Free bytes on the volume. */
  freeBytes(): Promise<number>
}

/** Structured logging. `fields` must hold no personal data. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** A logger that keeps nothing, for tests and for embedding. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}
