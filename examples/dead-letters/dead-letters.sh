# #region fail
npx millrace track paid '{"buyer":"ana","cents":1000,"currency":"EUR"}' --at 2026-01-05T10:00:00Z
npx millrace track paid '{"buyer":"ana","cents":500,"currency":"EURO"}' --at 2026-01-05T10:01:00Z
npx millrace track paid '{"buyer":"ana","cents":200,"currency":"EUR"}' --at 2026-01-05T10:02:00Z
npx millrace track paid '{"buyer":"ben","cents":300,"currency":"EUR"}' --at 2026-01-05T10:03:00Z
# #endregion
# #region list
npx millrace dead-letters list
# #endregion
# #region show
npx millrace dead-letters show view.spent ana
# #endregion
# #region fix
npx millrace dead-letters fix view.spent ana buyer=ana cents=500 currency=EUR --reason 'a typo'
# #endregion
# #region skip
npx millrace dead-letters skip --error 'no rate for' --reason 'test purchases'
# #endregion
