export { Database, type DatabaseOptions } from './database.ts'
export { inspect, type Inspection } from './inspection.ts'
export { migrate, newestOf, type Migration } from './migrations.ts'
export { openPostgresLog, type PostgresLog, type PostgresLogPorts } from './postgres-log.ts'
export { openPostgresKeys } from '../sealing/postgres/index.ts'
export { logMigrations } from './schema.ts'
export {
  claimSetting,
  forgetMembers,
  hasStreams,
  putSetting,
  readSetting,
  removeSetting,
  servingMembers,
} from './settings.ts'
