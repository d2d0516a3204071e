export {
  COMPATIBILITY_LEVELS,
  checkCompatibility,
  findUnreadable,
  type CompatibilityLevel,
  type CompatibilityRequest,
  type SchemaFinding,
  type SchemaFormat,
  type SchemaRefusal,
} from './levels.ts'
export { canonicalJson } from './canonical.ts'
