export { inputOf, type Corpus } from './mutate.ts'
export { faultOf, findingOf, type FuzzTarget } from './target.ts'
