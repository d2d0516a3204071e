// #region view
import { defineApp, event, id, int, text, view } from 'millrace'

const paid = event(
  'paid',
  { buyer: id('person'), cents: int(), currency: text() },
  { key: 'buyer' },
)

const rates: Readonly<Record<string, number>> = { EUR: 100, USD: 92 }

/** What a person spent, in euro cents. */
const spent = view({
  from: [paid],
  key: 'buyer',
  initial: () => ({ cents: 0 }),
  fold(state, { data }) {
    const rate = rates[data.currency]
    if (rate === undefined) throw new Error(`no rate for ${data.currency}`)
    state.cents += Math.round((data.cents * rate) / 100)
  },
  read: state => state.cents,
})

export default defineApp({ name: 'shop', events: [paid], views: { spent } })
// #endregion
