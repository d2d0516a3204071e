# #region history
cat > history.jsonl <<'JSONL'
{"type":"clip.put","at":"2026-01-05T08:00:00Z","data":{"id":"c1","attributes":{"topic":"pasta"}}}
{"type":"clip.put","at":"2026-01-05T08:00:00Z","data":{"id":"c2","attributes":{"topic":"pasta"}}}
{"type":"clip.put","at":"2026-01-05T08:00:00Z","data":{"id":"c3","attributes":{"topic":"cats"}}}
{"type":"shown","at":"2026-01-05T09:00:00Z","data":{"viewer":"ana","clip":"c1"}}
{"type":"watched","at":"2026-01-05T10:00:00Z","data":{"viewer":"ana","clip":"c1","watchedMs":25000}}
{"type":"watched","at":"2026-01-05T10:30:00Z","data":{"viewer":"ben","clip":"c1","watchedMs":4000}}
{"type":"shown","at":"2026-01-05T11:00:00Z","data":{"viewer":"ben","clip":"c3"}}
{"type":"shown","at":"2026-01-05T12:00:00Z","data":{"viewer":"ana","clip":"c2"}}
{"type":"watched","at":"2026-01-08T20:00:00Z","data":{"viewer":"zoe","clip":"c9","watchedMs":9000}}
JSONL
npx millrace import jsonl history.jsonl
# #endregion
# #region make
npx millrace features training-set clicks --to clicks.parquet
cp clicks.parquet.fitted.json fitted.json
# #endregion
