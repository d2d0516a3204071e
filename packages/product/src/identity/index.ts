export { identityErrors } from './errors.ts'
export { createIdentity, type Identity, type IdentityView } from './module.ts'
