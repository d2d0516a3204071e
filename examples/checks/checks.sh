# #region file
cat > history.csv <<'CSV'
viewer,clip,watchedMs,device,at
ana,c1,19000,tv,2026-01-05T10:00:00Z
ben,c1,4000,,2026-01-05T10:01:00Z
ben,c2,99000000,phone,2026-01-05T10:02:00Z
cem,c9,8000,,2026-01-05T10:03:00Z
ana,c2,7000,web,2026-01-05T11:00:00Z
CSV
cat > clips.csv <<'CSV'
id,title
c1,Cat on a roof
c2,Two cats
CSV
npx millrace import csv clips.csv --items clip
# #endregion
# #region check
npx millrace import csv history.csv --event watched --check || true
# #endregion
# #region import
npx millrace import csv history.csv --event watched || true
# #endregion
# #region refused
npx millrace track watched viewer=ana clip=c1 watchedMs=99000000 || true
# #endregion
# #region list
npx millrace checks list
# #endregion
# #region show
npx millrace checks show clipIsKnown
# #endregion
# #region release
printf 'id,title\nc9,A late clip\n' > late.csv
npx millrace import csv late.csv --items clip
npx millrace checks release clipIsKnown --reason 'the clip is there'
# #endregion
