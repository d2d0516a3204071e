# #region track
npx millrace track watched viewer=ana clip=c1 watchedMs=5000 --at 2026-01-05T10:00:00Z
npx millrace track watched viewer=ana clip=c2 watchedMs=300 --at 2026-01-05T10:01:00Z --id bot-1
npx millrace track watched viewer=ben clip=c2 watchedMs=300 --at 2026-01-05T10:01:00Z --id bot-2
# #endregion
# #region compare
npx millrace what-if --file bots.csv --to-file differences.jsonl
# #endregion
# #region key
npx millrace what-if --file bots.csv --events more.jsonl --view seen --key ben
npx millrace view seen --key ben
# #endregion
# #region surface
npx millrace what-if --file bots.csv --surface home --person carl
# #endregion
# #region people
npx millrace what-if --merge ben=ana --view seen --key ben
# #endregion
# #region definition
npx millrace what-if --definition changed.ts
npx millrace what-if --definition changed.ts --view seen --key ana
# #endregion
# #region set
npx millrace what-if --set 'surfaces.home.filters=["disliked"]' --surface home --person ana
# #endregion
