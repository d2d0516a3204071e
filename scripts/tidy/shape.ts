/** Sizes, names and the shape of files. */
import { basename } from 'node:path'
import type { Node } from 'oxc-parser'
import { lineAt, visitNodes, type Finding, type SourceFile } from './sources.ts'

/** The limits, in lines. A function in a test file is a list of cases and has no limit of its own. */
export const limits = { productFile: 500, testFile: 1000, productFunction: 70 } as const

const forbiddenWords = new Set([
  'util',
  'utils',
  'helper',
  'helpers',
  'common',
  'manager',
  'service',
  'misc',
])
/** Names that tools and readers expect as they are. */
const wellKnownNames = /^(README|CONTRIBUTING|CHANGELOG|LICENSE|NOTICE|SECURITY)(\.md)?$/
const kebabCase = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/

/** Files and functions above their limits. */
export function findLongPieces(files: readonly SourceFile[]): Finding[] {
  return files.flatMap(file => {
    if (file.tree === undefined) return []
    const findings: Finding[] = []
    const lines = file.text.split('\n').length - 1
    const max = file.kind === 'test' ? limits.testFile : limits.productFile
    if (lines > max) {
      findings.push({
        rule: 'file-lines',
        place: file.path,
        message: `${lines} lines, the limit is ${max}`,
      })
    }
    if (file.kind === 'product') {
      visitNodes(file.tree.program, node => {
        if (!isFunction(node) || node.body === null) return
        const first = lineAt(file.text, node.start)
        const count = lineAt(file.text, node.end) - first + 1
        if (count > limits.productFunction) {
          const message = `a function of ${count} lines, the limit is ${limits.productFunction}`
          findings.push({ rule: 'function-lines', place: `${file.path}:${first}`, message })
        }
      })
    }
    return findings
  })
}

type FunctionNode = Extract<Node, { type: 'FunctionDeclaration' | 'ArrowFunctionExpression' }>

function isFunction(node: Node): node is FunctionNode {
  return /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)
}

/** Files and folders that are not in kebab-case or have a name that says nothing. */
export function findBadNames(files: readonly SourceFile[]): Finding[] {
  const paths = new Set(
    files.flatMap(({ path }) =>
      path.split('/').map((_, at, parts) => parts.slice(0, at + 1).join('/')),
    ),
  )
  return [...paths].flatMap(path => {
    const name = basename(path)
    if (wellKnownNames.test(name)) return []
    if (!kebabCase.test(name))
      return [{ rule: 'kebab-case', place: path, message: 'is not in kebab-case' }]
    const word = name.split(/[-.]/).find(part => forbiddenWords.has(part))
    if (word === undefined) return []
    return [
      { rule: 'speaking-names', place: path, message: `"${word}" says nothing; name what it does` },
    ]
  })
}

/** Marks of unfinished work in comments, and `export *`, which hides what an entry offers. */
export function findLooseEnds(files: readonly SourceFile[]): Finding[] {
  return files.flatMap(file => {
    const tree = file.tree
    if (tree === undefined) return []
    const findings: Finding[] = tree.comments.flatMap(comment => {
      const mark = /\b(TODO|FIXME|XXX|HACK)\b/.exec(comment.value)?.[0]
      if (mark === undefined) return []
      const place = `${file.path}:${lineAt(file.text, comment.start)}`
      return [
        { rule: 'finished', place, message: `a comment says ${mark}; do it or open an issue` },
      ]
    })
    visitNodes(tree.program, node => {
      if (node.type !== 'ExportAllDeclaration') return
      const place = `${file.path}:${lineAt(file.text, node.start)}`
      findings.push({ rule: 'explicit-exports', place, message: 'export *; list the names' })
    })
    return findings
  })
}
