# #region past
npx millrace import csv clips.csv --items clip
npx millrace track --file views.ndjson
for person in ana ben eva; do npx millrace recommend --surface home --person $person; done
npx millrace track watched viewer=ana clip=floods watchedMs=7000
# #endregion
# #region explain
npx millrace explain "$ANSWER"
# #endregion
# #region behind
npx millrace explain "$ANSWER" --item clip/bees --stage popular
# #endregion
# #region same
npx millrace backtest --surface home
# #endregion
# #region changed
npx millrace backtest --surface home --app changed.ts --out differences.jsonl
# #endregion
# #region one
npx millrace backtest --surface home --answer "$ANSWER"
# #endregion
