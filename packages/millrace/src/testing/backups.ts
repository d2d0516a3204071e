/** Commands on backups, and what a restored directory must be. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock, systemRandom, type Clock } from '@millrace/core'
import { runCommand } from '../cli/main.ts'
import { openForTest, watchedBy } from './clips.ts'

const FIRST_EVENT_MS = 1_700_000_000_000

/**
 * Ten minutes after the first event that tests send: ticks, which a slow machine gets and a fast one
 * does not, leave the windows of an hour as they are.
 */
const soonAfter: Clock = {
  ...systemClock,
  nowMs: () => FIRST_EVENT_MS + 600_000 + Math.floor(systemClock.monotonicMs()),
}

/** A server in this process, over a directory of its own, which goes with the test. */
export interface Served {
  readonly root: string
  readonly data: string
  readonly url: string
  readonly close: () => Promise<void>
}

/** Starts one. */
export async function served(t: TestContext): Promise<Served> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-served-'))
  const data = join(root, 'data')
  let millrace: Awaited<ReturnType<typeof openForTest>> | undefined = await openForTest({
    data,
    clock: soonAfter,
  })
  const { url } = await millrace.listen()
  const close = async (): Promise<void> => {
    await millrace?.close()
    millrace = undefined
  }
  t.after(async () => {
    await close()
    rmSync(root, { recursive: true })
  })
  return { root, data, url, close }
}

/** Runs a command with `--json` in this process; gives its last object, with the exit code. */
export async function command(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Record<string, unknown>> {
  let out = ''
  const exit = await runCommand([...words, '--json'], {
    terminal: {
      out: text => void (out += text),
      err: () => undefined,
      isInteractive: false,
      columns: 100,
    },
    cwd: process.cwd(),
    environment,
    clock: soonAfter,
    random: systemRandom,
    stopped: () => new Promise(() => undefined),
    modules: [],
  })
  const line = out.trimEnd().split('\n').at(-1) ?? '{}'
  return { exit, ...(JSON.parse(line) as object) }
}

/** As `command`, for one that must succeed. */
export async function done(words: readonly string[]): Promise<Record<string, unknown>> {
  const result = await command(words)
  assert.equal(result['exit'], 0, `${words.join(' ')}: ${JSON.stringify(result)}`)
  return result
}

/** Events that tests send: each has an id of its own. */
export function watches(from: number, to: number): Record<string, unknown>[] {
  return Array.from({ length: to - from }, (_, index) => {
    const number = from + index
    const at = FIRST_EVENT_MS + number * 1000
    return watchedBy(`p${number % 13}`, `c${number % 7}`, {
      id: `w-${number}`,
      at,
      watchedMs: number,
    })
  })
}

/** What a directory holds: the ids of its events, and a hash of every row of its views. */
export interface Contents {
  readonly ids: ReadonlySet<string>
  /** Of the views that stay as they are while time passes. */
  readonly hash: string
  /** Of those that do not: the same only where no server was in between that ticks with the time of today. */
  readonly windowsHash: string
}

/**
 * Opens a directory and compares: every view with a naive recomputation from its records, and with
 * a rebuild, byte for byte. `sent` is tracked before.
 */
export async function contentsOf(data: string, sent: readonly object[] = []): Promise<Contents> {
  const millrace = await openForTest({ data, clock: soonAfter })
  try {
    if (sent.length > 0) await millrace.trackMany(sent as never)
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
    const ids = new Set<string>()
    const plays = new Map<string, number>()
    const times = new Map<string, number>()
    for (const [name, end] of millrace.log.ends()) {
      const [stream, partition] = name.split('/') as [string, string]
      if (stream !== 'person') continue
      for (let from = 0; from < end;) {
        const records = await millrace.log.read({ stream, partition: Number(partition), from })
        for (const { type, id, data } of records) {
          if (type !== 'watched') continue
          assert.ok(!ids.has(id), `${id} is there once`)
          ids.add(id)
          const { clip, viewer, watchedMs } = data as {
            clip: string
            viewer: string
            watchedMs: number
          }
          plays.set(clip, (plays.get(clip) ?? 0) + 1)
          times.set(viewer, (times.get(viewer) ?? 0) + watchedMs)
        }
        from += records.length
      }
    }
    for (const { name } of millrace.streams.status()) {
      const { different } = await millrace.streams.rebuild({ fold: name })
      assert.deepEqual(different, [], `${name} equals its rebuild`)
    }
    const rows = (view: 'plays' | 'time' | 'recent'): [string, unknown][] =>
      millrace
        .view(view)
        .list({ limit: 1000 })
        .entries.map(({ key, value }) => [key, value])
    const sorted = (map: Map<string, number>): [string, unknown][] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1))
    assert.deepEqual(rows('plays'), sorted(plays))
    assert.deepEqual(rows('time'), sorted(times))
    return {
      ids,
      hash: hashOf([rows('plays'), rows('time')]),
      windowsHash: hashOf(rows('recent')),
    }
  } finally {
    await millrace.close()
  }
}

function hashOf(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex')
}
