/** The file of the second version, as threads that build load it. */
export { nextApp as app } from './posts.ts'
