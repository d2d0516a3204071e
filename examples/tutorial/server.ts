// #region server
import express from 'express'
import { openMillrace } from 'millrace'
import { app } from './app.ts'

const millrace = await openMillrace({ app, data: '.millrace' })
const site = express()

site.get('/people/:person', (request, response) => {
  const { person } = request.params
  const { items } = millrace.recommend('home', { person, n: 3 })
  response.json(items.map(({ attributes }) => attributes?.['title']))
})

// The whole API beside it: /v1, /docs, /metrics, for the client and the command line.
site.use(millrace.handler)

const port = Number(process.env['PORT'] ?? 4321)
const server = site.listen(port, '127.0.0.1', () => {
  console.log('listening')
})
// So that commands in this folder find it.
await millrace.announce(`http://127.0.0.1:${port}`)
process.once('SIGINT', () => {
  server.close()
  void millrace.close()
})
// #endregion
