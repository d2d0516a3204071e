/** A file of the records of one partition; stand-in until splitting exists. */
import type { LogRecord } from '../log.ts'
export interface SplitFile {
  readonly first: number
  readonly end: number
  readonly bytes: number
  read(from: number, to: number, bytes: number): Promise<LogRecord[]>
  offsetsOf(hash: number): Promise<number[]>
  timeRange(timeMs: number): Promise<{ low: number; high: number }>
}
