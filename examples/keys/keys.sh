# The commands of docs/keys.md, in their order; keys.test.ts runs each region.

# #region create
npx millrace keys create admin --name ops
npx millrace keys create server --name shop-backend
npx millrace keys create public --name web --origin https://shop.example --rate 200
# #endregion

# #region serve
MILLRACE_HOST=0.0.0.0 npx millrace start
# #endregion

# #region rotate
npx millrace keys list
npx millrace keys rotate $KEY_ID --grace 1h
npx millrace keys revoke $KEY_ID
# #endregion

# #region audit
npx millrace log read access.audit
# #endregion
