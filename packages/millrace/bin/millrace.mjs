#!/usr/bin/env node
/**
 * The command. Plain JavaScript for any Node from 20 on: an older Node than 24 starts the one of the
 * package `node`, when the project or Millrace has it, and otherwise says what to do.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const NEEDED = 24
const running = Number(process.versions.node.split('.')[0])

if (running >= NEEDED) {
  const { main } = await import('../src/cli/main.ts')
  process.exitCode = await main(process.argv.slice(2))
} else {
  const binary = findNode()
  if (binary === undefined) {
    const message = `Millrace needs Node ${NEEDED} or newer; this is ${process.versions.node}.`
    const remedy = `Install it beside your project: npm install --save-dev node@${NEEDED}`
    if (process.argv.includes('--json')) {
      const error = { code: 'CLI_NODE_TOO_OLD', message, remedy, exitCode: 1 }
      process.stdout.write(`${JSON.stringify({ error })}\n`)
    } else {
      process.stderr.write(`${message}\n${remedy}\n`)
    }
    process.exitCode = 1
  } else {
    hand(binary)
  }
}

/** The binary of the package `node`, seen from the working directory or from here; never this one. */
function findNode() {
  for (const from of [pathToFileURL(join(process.cwd(), 'x.js')).href, import.meta.url]) {
    try {
      const manifest = createRequire(from).resolve('node/package.json')
      const binary = join(
        dirname(manifest),
        'bin',
        process.platform === 'win32' ? 'node.exe' : 'node',
      )
      if (existsSync(binary) && binary !== process.execPath) return binary
    } catch {
      // Not installed there.
    }
  }
  return undefined
}

/** Runs this command again by another Node; signals and the exit code pass through. */
function hand(binary) {
  const guard = process.env.MILLRACE_NODE_HANDED
  if (guard !== undefined) {
    process.stderr.write(`${binary} is older than Node ${NEEDED} too; remove or update it.\n`)
    process.exitCode = 1
    return
  }
  const child = spawn(binary, process.argv.slice(1), {
    stdio: 'inherit',
    env: { ...process.env, MILLRACE_NODE_HANDED: '1' },
  })
  // A terminal sends its signals to both; a supervisor only to this one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', error => {
    process.stderr.write(`${binary} cannot be started: ${error.message}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
  })
}
