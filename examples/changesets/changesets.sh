# #region plan
npx millrace changeset plan catalogue --table clip --file clips.csv --id first-clips
# #endregion
# #region refused
npx millrace changeset apply first-clips || true
# #endregion
# #region approve
MILLRACE_KEY=$BENS_KEY npx millrace changeset approve first-clips $HASH
npx millrace changeset apply first-clips
# #endregion
# #region query
npx millrace changeset plan catalogue --table clip --do patch --where topics=dogs --set creator=zoe --id to-zoe
npx millrace changeset dry-run to-zoe --file to-zoe.jsonl
# #endregion
# #region apply
npx millrace changeset apply to-zoe
# #endregion
# #region undo
npx millrace changeset undo to-zoe
npx millrace changeset list
# #endregion
