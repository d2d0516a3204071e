/**
 * A terminal as a reader of the documents has it, for tests: an empty folder, and `npx` and `npm`
 * that find this checkout instead of a registry. Scripts are regions of shell files that the
 * documents show, and what they print is compared with the text that the documents show.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

const checkout = dirname(dirname(import.meta.dirname))

const UNCOVERED = {
  NODE_V8_COVERAGE: undefined,
  NODE_COMPILE_CACHE: join(checkout, 'node_modules/.cache/node'),
}

const NPX = `#!/bin/sh
if [ "$1" = millrace ]; then shift; exec node "${checkout}/packages/millrace/bin/millrace.mjs" "$@"; fi
exec "$@"
`

/** Packages of this checkout are linked; scripts of the package.json run as npm runs them. */
const NPM = `#!/bin/sh
case "$1" in
install)
  mkdir -p node_modules/.bin
  ln -sfn "${checkout}/packages/millrace" node_modules/millrace
  ln -sfn "${checkout}/packages/millrace/bin/millrace.mjs" node_modules/.bin/millrace
  for name in "$@"; do
    if [ -e "${checkout}/node_modules/$name" ]; then ln -sfn "${checkout}/node_modules/$name" "node_modules/$name"; fi
  done ;;
run)
  PATH="$PWD/node_modules/.bin:$PATH"
  exec sh -c "exec $(node -p 'require("./package.json").scripts[process.argv[1]]' "$2")" ;;
*) echo "npm $1 is not part of the documents" >&2; exit 1 ;;
esac
`

/** A command that goes on in a terminal of its own. */
interface Running {
  /** Where a server that it starts answers. */
  readonly url: string
  /** Resolves to everything printed so far, once it matches `pattern`; rejects when the command ends before. */
  said(pattern: RegExp): Promise<string>
  /** Ctrl-C; resolves to everything printed, when the command has ended. */
  stop(): Promise<string>
}

/** A terminal. */
interface Shell {
  /** Where it was opened. */
  readonly folder: string
  /** Runs a script to its end; resolves to what it printed. Fails the test when the script fails. */
  run(script: string, options?: RunOptions): Promise<string>
  /** Starts a script that goes on. */
  start(script: string, options?: RunOptions): Running
  /** Ends what still runs and removes the folder. */
  close(): Promise<void>
}

interface RunOptions {
  /** Below the folder of the shell. */
  readonly folder?: string
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/**
 * Opens a terminal in an empty folder. A free port stands for the usual one, 4321, in scripts and outputs.
 * Commands start in half of the time while nobody counts their lines: `isCovered` is for those that no
 * other test runs.
 */
export async function openShell({ isCovered = false } = {}): Promise<Shell> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-example-'))
  const folder = join(root, 'millrace')
  const bin = join(root, 'bin')
  mkdirSync(folder)
  mkdirSync(bin)
  writeFileSync(join(bin, 'npx'), NPX, { mode: 0o755 })
  writeFileSync(join(bin, 'npm'), NPM, { mode: 0o755 })
  const port = await freePort()
  const path = [bin, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter)
  const started = new Set<Running>()
  const launch = (script: string, options: RunOptions): ChildProcess =>
    spawn('sh', ['-ec', script.replaceAll('4321', String(port))], {
      cwd: join(folder, options.folder ?? '.'),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NODE_TEST_CONTEXT: undefined,
        ...(isCovered ? {} : UNCOVERED),
        MILLRACE_DATA: undefined,
        MILLRACE_LOG_LEVEL: 'warn',
        PATH: path,
        PORT: String(port),
        ...options.environment,
      },
    })
  const shown = (text: string): string => text.replaceAll(`:${port}`, ':4321')
  return {
    folder,
    async run(script, options = {}) {
      const { output, ended } = watch(launch(script, options))
      const code = await ended
      assert.equal(code, 0, `${script}\nended with ${code}:\n${output()}`)
      return shown(output())
    },
    start(script, options = {}) {
      const running = {
        url: `http://127.0.0.1:${port}`,
        ...background(launch(script, options), shown),
      }
      started.add(running)
      return running
    },
    async close() {
      for (const running of started) await running.stop()
      rmSync(root, { recursive: true, force: true })
    },
  }
}

interface Watched {
  output(): string
  onOutput(listener: () => void): void
  /** The exit code. */
  readonly ended: Promise<number | null>
}

function watch(child: ChildProcess): Watched {
  let text = ''
  const listeners: (() => void)[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      for (const listener of listeners) listener()
    })
  }
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return { output: () => text, onOutput: listener => listeners.push(listener), ended }
}

function background(child: ChildProcess, shown: (text: string) => string): Omit<Running, 'url'> {
  const { output, onOutput, ended } = watch(child)
  return {
    said: pattern =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(shown(output()))) resolve(shown(output()))
        }
        onOutput(look)
        ended.then(
          code => reject(new assert.AssertionError({ message: `ended with ${code}: ${output()}` })),
          reject,
        )
        look()
      }),
    async stop() {
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
        process.kill(-child.pid, 'SIGINT')
      }
      await ended
      return shown(output())
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise(done => server.close(done))
  return port
}

/** The regions of a file, by name. */
export function regionsOf(path: string): (name: string) => string {
  const regions = new Map<string, string[]>()
  let open: string | undefined
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const mark = /^(?:#|\/\/) #(region|endregion)\s*([\w-]*)/.exec(line)
    if (mark !== null) {
      open = mark[1] === 'region' ? mark[2] : undefined
      if (open !== undefined) regions.set(open, [])
    } else if (open !== undefined) regions.get(open)?.push(line)
  }
  return name => {
    const lines = regions.get(name)
    assert.ok(lines !== undefined, `${path} has no region ${name}`)
    return lines.join('\n')
  }
}

/**
 * Asserts that `output` is what the document shows, in `file`, apart from what differs from run to
 * run. With MILLRACE_RECORD in the environment a different output replaces the file instead.
 */
export function assertShown(file: string, output: string): void {
  const shown = (): string => readFileSync(file, 'utf8')
  if (process.env['MILLRACE_RECORD'] !== undefined) {
    const isNew = !safely(shown) || settled(safely(shown) ?? '').join() !== settled(output).join()
    if (isNew) {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, `${output.trimEnd()}\n`)
    }
  }
  assert.deepEqual(settled(output), settled(shown()), `the output of ${file} differs`)
}

function safely(read: () => string): string | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

/**
 * The lines without ids, times, sizes and what exploration may change: the slots of a list are
 * compared as a set, without their chances.
 */
function settled(output: string): string[] {
  return output
    .trim()
    .replace(/\n {3,}(?=\S)/g, ' ')
    .split('\n')
    .map(line =>
      line
        .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>')
        .replace(/\b[0-9a-f]{12}\b/g, '<definition>')
        .replace(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+Z)?/g, '<time>')
        .replace(/\b\d+(\.\d+)? (ms|s|min|bytes|KB|MB)\b/g, '<n> $2')
        .replace(/[\d,]+ rows\/s/g, '<n> rows/s')
        .replace(
          /^\d+(\s+\S+\s+.*?)\s+\d\.\d+\s+(\w+)\s+[\d.]+ %\s*(exploration; |yes$)?/,
          '$1 $2 ',
        )
        .replace(/\d+ (of \d+ shown)/g, '$1')
        .replace(/taken in .*/, 'taken in ...')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .toSorted()
}
