export { openFileLog, type FileLogPorts } from './file-log.ts'
export { type FileLogOptions } from './options.ts'
