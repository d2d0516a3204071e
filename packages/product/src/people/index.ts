export { createPeople, type People, type PersonView } from './people.ts'
