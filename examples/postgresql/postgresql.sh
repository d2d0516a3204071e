# The commands of docs/postgresql.md, in their order; postgresql.int.test.ts runs each region.

# #region first
npx millrace start --data ./first
# #endregion

# #region second
npx millrace start --data ./second --port 0
# #endregion

# #region use
npx millrace track watched viewer=ada clip=c1 watchedMs=60000 --data ./first
npx millrace track watched viewer=bob clip=c1 watchedMs=30000 --data ./second
npx millrace view plays --key c1 --data ./first
# #endregion

# #region doctor
npx millrace doctor --data ./first
# #endregion

# #region format
npx millrace data format
# #endregion

# #region downgrade
npx millrace data downgrade
# #endregion
