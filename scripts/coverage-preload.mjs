/**
 * Loaded by every process of a run that measures covered lines, through NODE_OPTIONS. Functions that
 * come out of the compile cache have no exact coverage, so a process that is measured keeps from it; it
 * takes its sources without their types from a cache of their own instead, because taking the types off
 * is half of the time in which such a process starts. A process that is not measured, because it will be
 * killed, uses the compile cache. Plain JavaScript, since tests also start a Node too old to run types.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(import.meta.dirname)
const cache = join(root, 'node_modules/.cache')
const folder = join(cache, `without-types-${process.version}`)

if (process.env.NODE_V8_COVERAGE === undefined) module.enableCompileCache?.(join(cache, 'node'))
else module.registerHooks?.({ load })

function load(url, context, nextLoad) {
  if (context.format !== 'module-typescript' || !url.startsWith('file:')) {
    return nextLoad(url, context)
  }
  const path = fileURLToPath(url)
  if (!path.startsWith(root)) return nextLoad(url, context)
  const source = withoutTypes(readFileSync(path, 'utf8'))
  if (source === undefined) return nextLoad(url, context)
  return { format: 'module', source, shortCircuit: true }
}

/** What Node makes of the text, each character in its place; undefined when it refuses it. */
function withoutTypes(text) {
  const kept = join(folder, createHash('sha256').update(text).digest('hex'))
  try {
    return readFileSync(kept, 'utf8')
  } catch {
    const source = strip(text)
    if (source !== undefined) keep(kept, source)
    return source
  }
}

function strip(text) {
  const { emitWarning } = process
  // It would say that it is experimental on the standard error of programs whose output tests compare.
  process.emitWarning = () => undefined
  try {
    return module.stripTypeScriptTypes(text)
  } catch {
    return undefined
  } finally {
    process.emitWarning = emitWarning
  }
}

/** Whole or not at all, since others read it at the same time. */
function keep(path, text) {
  const written = `${path}.${process.pid}`
  mkdirSync(folder, { recursive: true })
  writeFileSync(written, text)
  renameSync(written, path)
}
