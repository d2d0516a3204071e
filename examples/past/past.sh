# #region track
npx millrace track watched viewer=ana clip=c1 watchedMs=5000 --at 2026-01-05T10:00:00Z
npx millrace track watched viewer=ben clip=c1 watchedMs=9000 --at 2026-01-05T10:02:00Z
# #endregion
# #region later
moment=$(node -p 'new Date().toISOString()')
npx millrace track watched viewer=cyd clip=c1 watchedMs=700 --at 2026-01-05T10:01:00Z
# #endregion
# #region view
npx millrace view plays --key c1
npx millrace view plays --key c1 --at "$moment"
# #endregion
# #region changes
npx millrace changes plays c1 --from "$moment"
# #endregion
# #region causes
npx millrace changeset plan corrections '{"query":{"stream":"person","keys":["ben"]}}' --id without-ben
npx millrace changeset apply without-ben
npx millrace what-changed plays c1 --from "$moment"
# #endregion
