# What docs/recommend.md shows.

# #region files
cat > train.csv <<'END'
person,item,at
ana,dough,1
ana,oven,2
ana,bread,3
ben,dough,1
ben,oven,2
ben,bread,3
cem,dough,2
cem,oven,3
cem,bread,4
dan,oven,4
dan,bread,5
dan,butter,6
eva,dough,7
eva,oven,8
END
cat > test.csv <<'END'
person,item
eva,bread
ana,butter
END
# #endregion

# #region evaluate
npx millrace evaluate --format csv --train train.csv --test test.csv --k 1 --json > found.json
# #endregion
