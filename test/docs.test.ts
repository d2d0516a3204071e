/** Code blocks follow their sources; a block that cannot be true is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rewriteBlocks } from '../scripts/docs/blocks.ts'

const files: Readonly<Record<string, string>> = {
  'app.ts': `import x from 'x'
// #region outer
  function f() {
    // #region inner
    return 1

    // #endregion
  }
// #endregion
`,
  'run.sh': '# #region go\nnpm start\n# #endregion\n',
  'open.ts': '// #region open\nconst x = 1\n',
  'data.json': '{ "a": 1 }\n',
}
const rewrite = (text: string) => rewriteBlocks(text, path => files[path])
const block = (source: string, language: string, body: string) =>
  `Text.\n\n<!-- source: ${source} -->\n\n\`\`\`${language}\n${body}\`\`\`\n\nMore.\n`

test('a block is replaced by its region, without marks and shared indentation', () => {
  const { text, faults, sources } = rewrite(block('app.ts#inner', 'ts', 'stale()\n'))
  assert.deepEqual(faults, [])
  assert.equal(text, block('app.ts#inner', 'ts', 'return 1\n'))
  assert.deepEqual(sources, ['app.ts'])
  assert.equal(
    rewrite(block('app.ts#outer', 'ts', '')).text,
    block('app.ts#outer', 'ts', 'function f() {\n  return 1\n\n}\n'),
  )
})

test('whole files, shell regions and missing languages', () => {
  assert.equal(rewrite(block('data.json', '', '')).text, block('data.json', 'json', '{ "a": 1 }\n'))
  assert.equal(
    rewrite(block('run.sh#go', 'sh', 'x\n')).text,
    block('run.sh#go', 'sh', 'npm start\n'),
  )
})

test('rewriting twice changes nothing more', () => {
  const once = rewrite(block('app.ts#outer', 'ts', 'stale\n')).text
  assert.equal(rewrite(once).text, once)
})

const refused: Readonly<Record<string, [text: string, fault: RegExp]>> = {
  'a ts block without a source': ['```ts\nx\n```\n', /line 1: a ts block without a source/],
  'an sh block without a source': ['a\n\n```sh\nx\n```\n', /line 3: a sh block/],
  'a json block without a source': ['```json\n{}\n```\n', /a json block/],
  'a file that does not exist': [block('none.ts#x', 'ts', ''), /none\.ts does not exist/],
  'a region that does not exist': [block('app.ts#none', 'ts', ''), /no region none/],
  'a region without an end': [block('open.ts#open', 'ts', ''), /has no end/],
  'a source without a block': ['<!-- source: app.ts -->\n\nText.\n', /a block must follow/],
  'a source at the end': ['<!-- source: app.ts -->\n', /has no block/],
  'a block without an end': ['```text\nx\n', /the block has no end/],
}
for (const [title, [text, fault]] of Object.entries(refused)) {
  test(`refused: ${title}`, () => {
    assert.match(rewrite(text).faults.join('\n'), fault)
  })
}

test('blocks of text and diagrams need no source', () => {
  const text = '```text\nx\n```\n\n```mermaid\ngraph\n```\n\n```\nplain\n```\n'
  assert.deepEqual(rewrite(text), { text, faults: [], sources: [] })
})
