/**
 * Compiles the kernels (`packages/recommend/assembly`) to WebAssembly and writes both builds, as base64,
 * into `packages/recommend/src/kernels/binary.ts`. The compiler, AssemblyScript, is fetched by npm at the
 * version below; nothing else needs it, since the result is checked in (docs/adr/0034-kernels.md).
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const COMPILER = 'assemblyscript@0.28.20'
const FLAGS =
  '--importMemory --sharedMemory --maximumMemory 65536 -O3 --runtime stub --noAssert'.split(' ')
const root = dirname(import.meta.dirname)
const sources = join(root, 'packages/recommend/assembly')
const target = join(root, 'packages/recommend/src/kernels/binary.ts')

/** What the checked-in binaries were made of: a hash of the sources, the compiler and its flags. */
export function kernelFingerprint(): string {
  const hash = createHash('sha256').update([COMPILER, ...FLAGS].join(' '))
  for (const name of globSync('*.ts', { cwd: sources }).toSorted())
    hash.update(name).update(readFileSync(join(sources, name)))
  return hash.digest('hex').slice(0, 16)
}

function compile(features: string, extra: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'kernels-'))
  try {
    const out = join(folder, 'kernels.wasm')
    const asc = [join(sources, 'index.ts'), '--enable', features, ...FLAGS, ...extra, '-o', out]
    const args = ['exec', '--yes', `--package=${COMPILER}`, '--', 'asc', ...asc]
    execFileSync('npm', args, { cwd: root, stdio: 'inherit' })
    return readFileSync(out).toString('base64')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

if (import.meta.main) {
  const fused = compile('simd,relaxed-simd,threads,bulk-memory', ['--use', 'ASC_FUSED=1'])
  const plain = compile('simd,threads,bulk-memory', [])
  writeFileSync(
    target,
    `/** Made by \`node scripts/kernels.ts\` from packages/recommend/assembly: do not edit. */

/** What these were made of. */
export const FINGERPRINT = '${kernelFingerprint()}'

/** With relaxed fused multiply-add, base64. */
// prettier-ignore
export const FUSED = '${fused}'

/** Without: plain 128-bit SIMD, base64. */
// prettier-ignore
export const PLAIN = '${plain}'
`,
  )
}
