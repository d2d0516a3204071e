// #region client
import { createClient } from 'millrace/client'
import type { app } from './app.ts'

const port = process.env['PORT'] ?? 4321
const client = createClient<typeof app>({ url: `http://127.0.0.1:${port}` })

const { position } = await client.track('saved', { reader: 'cleo', article: 'b4' })

// Answers that reflect at least the event above.
const { value } = await client.view('readers').get('b4', { atLeast: position })
console.log('b4 was read or saved', value, 'times')

const { items } = await client.recommend('home', { person: 'cleo', n: 3, atLeast: position })
console.log(
  'Cleo gets',
  items.length,
  'items, b4 not again:',
  items.every(({ id }) => id !== 'b4'),
)
await client.close()
// #endregion
