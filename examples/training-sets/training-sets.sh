# #region history
cat > history.jsonl <<'JSONL'
{"type":"clip.put","at":"2026-01-05T08:00:00Z","data":{"id":"c1","attributes":{"topic":"pasta","embedding":[0.25,0.5]}}}
{"type":"clip.put","at":"2026-01-06T08:00:00Z","data":{"id":"c1","attributes":{"topic":"cooking","embedding":[1,0]}}}
{"type":"shown","at":"2026-01-05T09:00:00Z","data":{"viewer":"ana","clip":"c1"}}
{"type":"watched","at":"2026-01-05T10:00:00Z","data":{"viewer":"ana","clip":"c1","watchedMs":25000}}
{"type":"watched","at":"2026-01-05T10:30:00Z","data":{"viewer":"ben","clip":"c1","watchedMs":4000}}
{"type":"shown","at":"2026-01-05T12:00:00Z","data":{"viewer":"ana","clip":"c2"}}
{"type":"shown","at":"2026-01-05T12:00:00Z","data":{"viewer":"ben","clip":"c2"}}
{"type":"watched","at":"2026-01-05T12:05:00Z","data":{"viewer":"ana","clip":"c2","watchedMs":30000}}
{"type":"shown","at":"2026-01-06T19:00:00Z","data":{"viewer":"ben","clip":"c1"}}
{"type":"watched","at":"2026-01-06T20:00:00Z","data":{"viewer":"ben","clip":"c2","watchedMs":22000}}
JSONL
npx millrace import jsonl history.jsonl
# #endregion
# #region make
npx millrace features training-set clicks --to clicks.parquet
# #endregion
# #region observations
cat > moments.csv <<'CSV'
person,clip,time,label
ana,c2,2026-01-05 12:30:00,1
ben,c1,2026-01-05 12:30:00,0
CSV
npx millrace features training-set clicks --to moments.parquet --observations moments.csv
# #endregion
