# #region move
npx millrace move to-postgres --stop
# #endregion

# #region back
npx millrace move from-postgres
# #endregion
