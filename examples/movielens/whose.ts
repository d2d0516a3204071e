// #region whose
import { readFileSync, writeFileSync } from 'node:fs'
import { createClient } from 'millrace/client'
import type app from './app.ts'

const [file = '', before] = process.argv.slice(2)
const client = createClient<typeof app>({ url: `http://127.0.0.1:${process.env['PORT'] ?? 4321}` })

const lists: Record<string, string[]> = {}
for (let person = 1; person <= 300; person++) {
  const { items } = await client.recommend('home', { person: `${person}`, n: 5 })
  lists[person] = items.map(({ attributes, id }) => attributes?.title ?? id)
}
writeFileSync(file, JSON.stringify(lists))
if (before !== undefined) {
  const old = JSON.parse(readFileSync(before, 'utf8')) as typeof lists
  const changed = Object.keys(lists).filter(person => String(lists[person]) !== String(old[person]))
  console.log(`The lists of ${changed.length} of 300 people are others.`)
  const [first] = changed
  if (first !== undefined) {
    console.log(`Person ${first} had: ${old[first]?.join(', ')}`)
    console.log(`Person ${first} has: ${lists[first]?.join(', ')}`)
  }
}
// #endregion
