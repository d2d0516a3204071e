# #region track
npx millrace track watched viewer=ana clip=c1 watchedMs=19000
npx millrace track watched viewer=ben clip=c1 watchedMs=4000
npx millrace track liked viewer=ana clip=c1
# #endregion
# #region list
npx millrace features list
# #endregion
# #region get
npx millrace features get clipStats c1
# #endregion
# #region pairs
npx millrace features get topicStats ana
# #endregion
# #region viewer
npx millrace features get viewerStats ana
# #endregion
# #region explain
npx millrace features explain clipStats.plays7d c1
# #endregion
# #region lineage
npx millrace features lineage clip.topics
npx millrace features lineage liked
# #endregion
# #region backfill
npx millrace features backfill clipStats --dry-run
npx millrace features backfill clipStats --max-differences all
# #endregion
# #region check
npx millrace features check
# #endregion
