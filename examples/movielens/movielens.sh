# A MovieLens data set, from the files of GroupLens to recommendations.

# #region import
npx millrace import movielens ml-latest-small.zip
npx millrace recommend --surface home --person 42 --n 5 --explain
# #endregion
