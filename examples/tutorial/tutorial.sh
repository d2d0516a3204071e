# The commands of docs/tutorial.md, in their order; tutorial.test.ts runs each region.

# #region init
npx millrace init ../reading
cd ../reading
npm install
# #endregion

# #region dev
npm run dev
# #endregion

# #region seed
npm run seed
npx millrace recommend --surface home --person ada --explain
# #endregion

# #region track
npx millrace track read reader=ada article=a5 seconds=90
npx millrace recommend --surface home --person ada --explain
# #endregion

# #region explain
npx millrace explain "$ANSWER" --brief
# #endregion

# #region log
npx millrace log tail -n 3
npx millrace log stats
# #endregion

# #region view
npx millrace view readers
# #endregion

# #region import
npx millrace import csv articles.csv --items article --map id=slug,title=headline,topics=tags,author=writer
npx millrace import csv reads.csv --event read --map reader=user,article=slug,seconds=seconds,at=time
npx millrace recommend --surface home --person eva --n 4
# #endregion

# #region client
npx node client.ts
# #endregion

# #region express
npm install express
npx node server.ts
# #endregion

# #region embedded
npx millrace recommend --surface home --person eva
# #endregion
