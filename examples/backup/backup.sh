# The commands of docs/backup.md, in their order; backup.test.ts runs each region.

# #region take
npx millrace backup --to backups
# #endregion

# #region mistake
npx millrace track watched viewer=ana clip=intro watchedMs=20000 --json
npx millrace track watched viewer=ana clip=mistake watchedMs=20000
npx millrace backup --to backups
# #endregion

# #region verify
npx millrace backup list --from backups
npx millrace backup verify --from backups
# #endregion

# #region restore
npx millrace restore --from backups --to restored --at $POSITION
npx millrace view plays --data restored
# #endregion

# #region ship
npx millrace backup --to backups --every 5s --keep 500
# #endregion

# #region standby
npx millrace standby --from backups --data standby
# #endregion

# #region promote
npx millrace standby promote --from backups --data standby
# #endregion

# #region export
npx millrace export --to exported --format parquet --personal
# #endregion

# #region import
npx millrace import export exported --data imported
# #endregion

# #region format
npx millrace data format
npx millrace data downgrade
# #endregion
