export { createCatalogue, type Catalogue, type ItemView } from './catalogue.ts'
export { ItemIndex, offsetsOf, type Attributes, type ItemKind } from './item-index.ts'
export { itemKey, itemSpaceOf, partsOfKey, type ItemSpace } from './item-space.ts'
