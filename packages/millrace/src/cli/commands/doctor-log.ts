/**
 * What doctor finds in the log of a data directory. Nothing is read while a server owns it: that one
 * is asked whether it takes events. Else the log is opened, which checks what a start would check and
 * cuts a torn tail as a start would; every record is read on request, at about a second a million.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isError } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { readConfig } from '../../config.ts'
import { openForReading } from '../../wiring/backends.ts'
import type { CommandContext } from '../context.ts'
import { count } from '../output.ts'
import { ownerOf } from '../owner.ts'
import type { Finding } from './doctor.ts'

/** How a log is looked at. */
export interface LogCheckOptions {
  /** Reads every record, and so every checksum. */
  readonly deep?: boolean
}

const ASK_MS = 2_000
const READ_RECORDS = 10_000
const check = 'log'

/** Findings about the log; none where there is no log of this directory. */
export async function checkLog(
  context: CommandContext,
  { deep = false }: LogCheckOptions,
): Promise<Finding[]> {
  const { data, environment } = context
  const isElsewhere = data === 'memory' || readConfig({}, environment).database !== ''
  if (isElsewhere || !existsSync(join(data, 'log'))) return []
  const owner = ownerOf(data)
  if (owner !== undefined) {
    const { pid, url } = owner
    return url === undefined ? [] : [await askOwner(pid, url)]
  }
  try {
    const { log, close } = await openForReading(context)
    try {
      return deep ? await readAll(log) : [opened(log)]
    } finally {
      await close()
    }
  } catch (error) {
    return [problemOf(error)]
  }
}

async function askOwner(pid: number, url: string): Promise<Finding> {
  let answer: Response
  let told: { readonly status: string; readonly reasons?: readonly string[] }
  try {
    answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(ASK_MS) })
    told = (await answer.json()) as typeof told
  } catch {
    return {
      check,
      status: 'problem',
      message: `its owner, process ${pid}, does not answer at ${url}`,
      remedy: 'Wait while it closes; if it stays so, end the process, and start it again.',
    }
  }
  const { status, reasons = [] } = told
  if (answer.ok) return { check, status: 'ok', message: `its owner is ${status}` }
  return {
    check,
    status: 'problem',
    message: `its owner is ${status}: ${reasons.join('; ')}`,
    remedy: 'Wait while it starts or closes; else solve what it says, and restart it.',
  }
}

function opened(log: EventLog): Finding {
  const message = `opens; ${count(recordsOf(log))} records, read one by one by doctor --deep`
  return { check, status: 'ok', message }
}

async function readAll(log: EventLog): Promise<Finding[]> {
  const damaged: Finding[] = []
  for (const { stream, partitions } of log.stats().streams) {
    for (const [partition, { start, end }] of partitions.entries()) {
      try {
        for (let from = start; from < end;) {
          const records = await log.read({ stream, partition, from, recordsMax: READ_RECORDS })
          from += records.length
        }
      } catch (error) {
        damaged.push(problemOf(error))
      }
    }
  }
  if (damaged.length > 0) return damaged
  return [{ check, status: 'ok', message: `all ${count(recordsOf(log))} records can be read` }]
}

function recordsOf(log: EventLog): number {
  return log
    .stats()
    .streams.flatMap(({ partitions }) => partitions)
    .reduce((sum, { start, end }) => sum + end - start, 0)
}

/** A failure as a finding; what is no registered error is none of the log. */
function problemOf(error: unknown): Finding {
  if (!isError(error)) throw error
  return { check, status: 'problem', message: error.message, remedy: error.remedy }
}
