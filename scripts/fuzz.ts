/**
 * `npm run fuzz -- --for 10m`: changed inputs for every parser, one after the other, for so long each.
 * `--only csv` for one, `--seed 7` for other inputs, `--input 123` runs one of them again.
 *
 * A finding is an error without a code, a detail or a remedy; an input that is worked on for longer
 * than 20 s; a thread that runs out of its 512 MiB; or memory that is held after garbage collection
 * and grows from input to input. Each is printed with the command that shows it again; the status is
 * 1 then.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fuzz, type FuzzReport } from './fuzz-run.ts'

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000 } as const

const { values } = parseArgs({
  options: {
    for: { type: 'string', default: '10m' },
    only: { type: 'string', multiple: true },
    seed: { type: 'string', default: '1' },
    input: { type: 'string' },
  },
})
const [, count, unit] = /^(\d+)(s|m|h)$/.exec(values.for) ?? fail(`--for ${values.for}: say 30s, 10m or 1h.`) // prettier-ignore
const targets = join(import.meta.dirname, '../test/fuzz/targets.ts')
const { targets: known } = (await import(targets)) as { targets: readonly { name: string }[] }
const names = known.map(({ name }) => name)
const unknown = values.only?.find(name => !names.includes(name))
if (unknown !== undefined) fail(`--only ${unknown}: there are ${names.join(', ')}.`)

let isFaulty = false
for (const name of values.only ?? names) {
  const report = await fuzz({
    targets,
    name,
    seed: Number(values.seed),
    until: { ms: Number(count) * UNITS[unit as keyof typeof UNITS] },
    only: values.input === undefined ? undefined : Number(values.input),
  })
  print(name, report)
  isFaulty ||= report.findings.length > 0
}
process.exitCode = isFaulty ? 1 : 0

function print(name: string, { inputs, seconds, findings }: FuzzReport): void {
  const verdict = findings.length === 0 ? 'ok    ' : 'FAILED'
  console.log(`${verdict} ${name.padEnd(16)} ${inputs} inputs in ${seconds.toFixed(0)} s`)
  for (const { input, text } of findings) {
    console.log(`  ${text.replaceAll('\n', '\n  ')}`)
    console.log(`  again: npm run fuzz -- --only ${name} --seed ${values.seed} --input ${input}\n`)
  }
}

function fail(message: string): never {
  console.error(message)
  process.exit(2)
}
