export { Database, type DatabaseOptions } from './database.ts'
export { migrate, type Migration } from './migrations.ts'
export { openPostgresLog, type PostgresLogPorts } from './postgres-log.ts'
export { logMigrations } from './schema.ts'
