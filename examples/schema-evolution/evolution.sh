# #region compare
npx millrace schemas compare new.json old.json
# #endregion
# #region check
npx millrace schemas check --app broken.ts
# #endregion
# #region check-after
npx millrace schemas check --app after.ts
# #endregion
# #region view
npx millrace view watchTime --key ann --app after.ts --json
# #endregion
# #region list
npx millrace schemas list
# #endregion
