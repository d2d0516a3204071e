# #region ask
npx millrace track asked person=ben course=law question='Which book do we read?'
npx millrace track asked person=ana course=law question='I am ill, may I come later?'
npx millrace view questions --key law
npx millrace view newest --key law
# #endregion
# #region plan
npx millrace erase ana --dry-run
# #endregion
# #region erase
npx millrace erase ana --reason 'request 4711'
# #endregion
# #region after
npx millrace view questions --key law
npx millrace view newest --key law
npx millrace log read person --key ana
# #endregion
