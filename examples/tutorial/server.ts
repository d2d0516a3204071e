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

const server = site.listen(Number(process.env['PORT'] ?? 4321), '127.0.0.1', () => {
  console.log('listening')
})
process.once('SIGINT', () => {
  server.close()
  void millrace.close()
})
// #endregion
