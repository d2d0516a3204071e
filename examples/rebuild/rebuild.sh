# #region track
npx millrace track watched viewer=ana clip=c1 watchedMs=5000 --at 2026-01-05T10:00:00Z
npx millrace track watched viewer=ana clip=c2 watchedMs=400 --at 2026-01-05T10:01:00Z
npx millrace track watched viewer=ben clip=c1 watchedMs=9000 --at 2026-01-05T10:02:00Z
# #endregion
# #region prove
npx millrace rebuild plays
# #endregion
# #region dry-run
npx millrace rebuild plays --dry-run
# #endregion
# #region switch
npx millrace rebuild switch plays --max-differences 1
# #endregion
# #region back
npx millrace rebuild back plays
# #endregion
# #region drop
npx millrace rebuild drop plays
# #endregion
# #region file
npx millrace replay --stream person --key ana --to-file ana.jsonl
# #endregion
# #region processor
npx millrace replay --processor plays --from 2026-01-01T00:00:00Z
# #endregion
