export { openNodeDisk } from './node-disk.ts'
