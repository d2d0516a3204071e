# #region import
npx millrace import movielens ml-latest-small
# #endregion
# #region before
npx node whose.ts before.json
# #endregion
# #region plan
npx millrace changeset plan corrections '{"query":{"stream":"person","keys":["414"]}}' --id without-414
npx millrace changeset dry-run without-414 -n 2
# #endregion
# #region apply
npx millrace changeset apply without-414
npx node whose.ts without.json before.json
# #endregion
# #region undo
npx millrace changeset undo without-414
npx node whose.ts again.json before.json
# #endregion
