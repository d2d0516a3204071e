/** Two servers over one PostgreSQL, in processes of their own that die at named steps. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { partitionOf, systemClock } from '@millrace/core'
import { UNCOVERED } from './child.ts'
import { send, type TestAnswer } from './http.ts'

const WORKER = join(import.meta.dirname, 'shared-worker.ts')
const TURNS_MAX = 2_000
const TURN_MS = 40
/** Answers after which the same is asked again: of a process that is about to be without the other. */
const BUSY = [409, 503, 504]

/** What a process says of its folds. */
export interface Told {
  readonly hashes: Readonly<Record<string, string>>
  /** Of the keys that do not flow. */
  readonly still: Readonly<Record<string, string>>
  /** Keys that a rebuild makes otherwise. */
  readonly unlike: Readonly<Record<string, readonly string[]>>
  /** How far each fold is, and how many corrections there are. */
  readonly ends: unknown
}

/** People and clips of whom events arrive all the while. */
export const isFlowing = (key: string): boolean => /(^|\/)flow/.test(key)

export const pause = (delayMs: number): Promise<void> =>
  new Promise(resolve => systemClock.after(delayMs, resolve))

/** Looks until it is so. */
export async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    if (await isSo()) return
    await pause(TURN_MS)
  }
  assert.fail(`it did not come about: ${what}`)
}

/** One of them. */
export class SharedServer {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #gone: Promise<NodeJS.Signals | null>
  #url = ''
  isGone = false

  private constructor(data: string) {
    this.#child = spawn(process.execPath, [WORKER, data], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...UNCOVERED },
    })
    this.#lines = createInterface({ input: this.#child.stdout as never })[Symbol.asyncIterator]()
    this.#gone = new Promise(resolve =>
      this.#child.once('exit', (_code, signal) => {
        this.isGone = true
        resolve(signal)
      }),
    )
  }

  static async start(data: string): Promise<SharedServer> {
    const server = new SharedServer(data)
    server.#url = (await server.#line<{ url: string }>()).url
    return server
  }

  async #line<Line>(): Promise<Line> {
    const line = await this.#lines.next()
    assert.ok(line.done !== true, 'the process ended')
    return JSON.parse(line.value) as Line
  }

  #say(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** It dies at its next step of this name. */
  dieAt(step: string): void {
    this.#say(step)
  }

  async died(): Promise<void> {
    assert.equal(await this.#gone, 'SIGKILL')
  }

  async tell(): Promise<Told> {
    this.#say('tell')
    return await this.#line<Told>()
  }

  async close(): Promise<void> {
    this.#say('close')
    assert.equal(await this.#gone, null)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#gone
  }

  send(path: string, body?: unknown): Promise<TestAnswer> {
    return send(this.#url, path, body === undefined ? {} : { body })
  }
}

/** Both, of which one may be gone. */
export class Pair {
  readonly #directory: string
  readonly servers: SharedServer[] = []

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Starts those that are gone. */
  async start(): Promise<void> {
    await Promise.all(
      [0, 1].map(async index => {
        if (this.servers[index]?.isGone === false) return
        this.servers[index] = await SharedServer.start(join(this.#directory, String(index)))
      }),
    )
  }

  get living(): readonly SharedServer[] {
    return this.servers.filter(server => !server.isGone)
  }

  async each(act: (server: SharedServer) => Promise<void>): Promise<void> {
    await Promise.all(this.living.map(act))
  }

  /** Asks one after the other until somebody answers with success. */
  async send(path: string, body?: unknown): Promise<TestAnswer> {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const server = this.servers[turn % this.servers.length]
      const answer = await server?.send(path, body).catch(() => undefined)
      if (answer?.status === 200) return answer
      assert.ok(answer === undefined || BUSY.includes(answer.status), `${path}: ${answer?.text}`)
      await pause(TURN_MS)
    }
    return assert.fail(`nobody took ${path}`)
  }

  /** Who carries out what has this name, and the other one, once both lead as many partitions. */
  async leaderOf(name: string, partitions: number): Promise<readonly [SharedServer, SharedServer]> {
    const [first, second] = this.servers as [SharedServer, SharedServer]
    let isFirst = false
    await until(async () => {
      const { json } = await first.send('/v1/leases')
      const leases = json['leases'] as { partition: number; isOwn: boolean; owner: string | null }[]
      const own = leases.filter(({ isOwn }) => isOwn).map(({ partition }) => partition)
      isFirst = own.includes(partitionOf(name, partitions))
      return leases.every(({ owner }) => owner !== null) && own.length * 2 === leases.length
    }, 'each leads half of the partitions')
    return isFirst ? [first, second] : [second, first]
  }

  /** What both say, once one is as far as the other: the same, and what a rebuild gives. */
  async tell(): Promise<Told> {
    let told: readonly Told[] = []
    await until(async () => {
      told = await Promise.all(this.servers.map(server => server.tell()))
      return isDeepStrictEqual(told[0]?.ends, told[1]?.ends)
    }, 'both are as far as each other')
    const [first, second] = told as [Told, Told]
    assert.deepEqual([first.unlike, second.unlike], [{}, {}], 'both have what a rebuild gives')
    assert.deepEqual(second.hashes, first.hashes, 'both have the same')
    return first
  }
}
