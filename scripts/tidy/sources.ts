/** The files of the repository as the house rules see them: text, syntax tree, kind. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseSync, type Comment, type Node } from 'oxc-parser'

/** One broken rule at one place. */
export interface Finding {
  readonly rule: string
  /** Path relative to the root, with the line when there is one. */
  readonly place: string
  readonly message: string
}

/** One text file of the repository. */
export interface SourceFile {
  /** Relative to the root, with slashes. */
  readonly path: string
  readonly text: string
  /** `test` covers tests, what they share in folders `testing/`, measurements and suites; `other` is everything that is not TypeScript. */
  readonly kind: 'product' | 'test' | 'other'
  /** Parsed at the first use; undefined when `kind` is `other`. */
  readonly tree: Tree | undefined
}

/** The syntax tree of a file, as oxc-parser gives it. */
export interface Tree {
  readonly program: Node
  readonly comments: readonly Comment[]
}

const folders = ['packages', 'apps', 'scripts', 'test', 'bench', 'examples', 'docs', '.ci']
const skipped = new Set([
  'node_modules',
  'dist',
  'coverage',
  '.git',
  '.cache',
  '.millrace',
  '.turbo',
])
const binary = /\.(png|jpe?g|gif|ico|woff2?|gz|zip|tgz|wasm|parquet)$/

/** Reads every text file of the repository below `root`. */
export function readSources(root: string): SourceFile[] {
  const top = readdirSync(root, { withFileTypes: true })
    // In a work tree of git beside the first one, `.git` is a file.
    .filter(entry => entry.isFile() && !skipped.has(entry.name) && !entry.name.endsWith('.log'))
    .map(entry => entry.name)
  const deep = folders
    .filter(name => existsSync(join(root, name)))
    .flatMap(name => walk(root, name))
  return [...top, ...deep].filter(path => !binary.test(path)).map(path => open(root, path))
}

function walk(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    if (skipped.has(entry.name)) return []
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return walk(root, path)
    return entry.isFile() ? [path] : []
  })
}

function open(root: string, path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8')
  const kind = kindOf(path)
  let parsed: Tree | undefined
  return {
    path,
    text,
    kind,
    get tree() {
      if (kind === 'other') return undefined
      parsed ??= parseSync(path, text)
      return parsed
    },
  }
}

function kindOf(path: string): SourceFile['kind'] {
  if (!/\.tsx?$/.test(path)) return 'other'
  if (/\.(test|bench|test-d)\.tsx?$/.test(path)) return 'test'
  if (/(^|\/)(suite(\.ts$|\/)|testing\/)/.test(path) || /^(test|bench|scripts)\//.test(path))
    return 'test'
  return 'product'
}

/** The line of a character offset, counted from 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1))
    line += 1
  return line
}

/** Calls `visit` for every node of a tree, parents first. */
export function visitNodes(
  node: Node,
  visit: (node: Node, parent: Node | undefined) => void,
): void {
  const step = (current: Node, parent: Node | undefined): void => {
    visit(current, parent)
    for (const value of Object.values(current)) {
      if (Array.isArray(value)) {
        for (const item of value) if (isNode(item)) step(item, current)
      } else if (isNode(value)) step(value, current)
    }
  }
  step(node, undefined)
}

function isNode(value: unknown): value is Node {
  return (
    typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
  )
}

/** `a.b.c` for a chain of plain names; undefined for anything else. */
export function dottedName(node: Node): string | undefined {
  if (node.type === 'Identifier') return node.name
  if (node.type !== 'MemberExpression') return undefined
  const object = dottedName(node.object)
  if (object === undefined) return undefined
  if (!node.computed && node.property.type === 'Identifier')
    return `${object}.${node.property.name}`
  return node.property.type === 'Literal' && typeof node.property.value === 'string'
    ? `${object}.${node.property.value}`
    : undefined
}
