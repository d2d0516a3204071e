/**
 * What HTTP costs by itself: `node ceiling.ts [bytes]` reads every body, answers one constant (of at
 * least so many bytes), prints its address.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const ANSWER = Buffer.from(
  '{"status":"appended","id":"00000000-0000-7000-8000-000000000000"}'.padEnd(
    Number(process.argv[2] ?? 0),
  ),
)
const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'content-length': String(ANSWER.length),
}

const server = createServer((request, response) => {
  request.on('data', () => undefined)
  request.on('end', () => {
    response.writeHead(201, HEADERS)
    response.end(ANSWER)
  })
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}`, port, readyMs: 0 })}\n`)
})
process.on('SIGTERM', () => process.exit(0))
