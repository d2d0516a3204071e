/** Tests that cannot fail: those that assert nothing, directly or through what they call. */
import type { Node } from 'oxc-parser'
import { dottedName, lineAt, visitNodes, type Finding, type SourceFile } from './sources.ts'

/** Calls that check something by themselves; a function of a suite or a test kit says so by its name. */
const asserting =
  /^(assert|expect|fc\.assert|t\.assert|invariant)(\.|$)|(^|\.)(assert|expect|check|verify|refuse|reject|must)[A-Z]\w*$|Suite$/
const testCalls = /^(test|it)(\.only)?$/

/** Test cases without an assertion, and test files without a case. */
export function findEmptyTests(files: readonly SourceFile[]): Finding[] {
  const helpers = assertingFunctions(files)
  return files.flatMap(file => {
    if (!/\.test\.tsx?$/.test(file.path) || file.tree === undefined) return []
    const findings: Finding[] = []
    const suites = importedFromSuites(file.tree.program)
    let cases = 0
    visitNodes(file.tree.program, node => {
      if (node.type !== 'CallExpression') return
      const name = dottedName(node.callee) ?? ''
      if (suites.has(name)) cases += 1
      if (!testCalls.test(name)) return
      cases += 1
      const body = node.arguments.at(-1)
      if (body === undefined || isAsserting(body, helpers)) return
      const place = `${file.path}:${lineAt(file.text, node.start)}`
      findings.push({ rule: 'assertions', place, message: 'the test asserts nothing' })
    })
    if (cases === 0) {
      findings.push({ rule: 'assertions', place: file.path, message: 'the file has no test' })
    }
    return findings
  })
}

/** Functions that a test imports from the suite of a contract: calling one runs its cases. */
function importedFromSuites(program: Node): Set<string> {
  const found = new Set<string>()
  visitNodes(program, node => {
    if (node.type !== 'ImportDeclaration' || !/suite/.test(node.source.value)) return
    for (const { local } of node.specifiers) found.add(local.name)
  })
  return found
}

/** Names of functions in tests and suites that assert, also through each other. */
function assertingFunctions(files: readonly SourceFile[]): Set<string> {
  const bodies = files.flatMap(file => {
    const isTestCode = file.kind === 'test' || file.path.startsWith('packages/sim/')
    return isTestCode && file.tree !== undefined ? namedFunctions(file.tree.program) : []
  })
  const found = new Set<string>()
  for (let size = -1; size !== found.size;) {
    size = found.size
    for (const { name, body } of bodies) if (isAsserting(body, found)) found.add(name)
  }
  return found
}

function namedFunctions(program: Node): { name: string; body: Node }[] {
  const found: { name: string; body: Node }[] = []
  visitNodes(program, node => {
    if (node.type === 'FunctionDeclaration' && node.id !== null && node.body !== null) {
      found.push({ name: node.id.name, body: node.body })
    } else if (
      node.type === 'VariableDeclarator' &&
      node.id.type === 'Identifier' &&
      node.init !== null
    ) {
      if (/Function/.test(node.init.type)) found.push({ name: node.id.name, body: node.init })
    } else if (node.type === 'Property' && node.key.type === 'Identifier') {
      if (/Function/.test(node.value.type)) found.push({ name: node.key.name, body: node.value })
    }
  })
  return found
}

function isAsserting(body: Node, helpers: ReadonlySet<string>): boolean {
  let isFound = false
  visitNodes(body, node => {
    if (node.type === 'ThrowStatement') isFound = true
    if (node.type === 'Identifier' && helpers.has(node.name)) isFound = true
    if (node.type !== 'CallExpression') return
    const name = dottedName(node.callee)
    if (name !== undefined && asserting.test(name)) isFound = true
  })
  return isFound
}
