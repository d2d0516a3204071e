# #region track
npx millrace track watched viewer=ana clip=c1
npx millrace track watched viewer=visitor-7 clip=c2
npx millrace track watched viewer=visitor-7 clip=c3
# #endregion
# #region merge
npx millrace merge visitor-7 ana --reason 'they logged in'
npx millrace view seen --key visitor-7
# #endregion
# #region later
npx millrace track watched viewer=visitor-7 clip=c4
# #endregion
# #region read
npx millrace view seen --key ana
# #endregion
# #region split
npx millrace split visitor-7 --reason 'a shared tablet'
npx millrace view seen --key ana
npx millrace view seen --key visitor-7
# #endregion
