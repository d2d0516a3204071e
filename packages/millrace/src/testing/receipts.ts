/** A product whose fold fails on some payments, and passes some of them on once: for tests of what operators decide. */
import { defineApp, event, id, int, text, view } from '@millrace/core'

const paid = event(
  'paid',
  { buyer: id('person'), number: int(), currency: text() },
  { key: 'buyer' },
)
/** What the fold passed on; keyed by a till of the buyer's own, so that the order of one shows. */
const receipt = event('receipt', { till: id('till'), number: int() }, { key: 'till' })

/** Set in processes to which the rates of currency `late` have come. */
export const RATES_VARIABLE = 'MILLRACE_TEST_RATES'

/** The definition. */
export const receipts = defineApp({
  name: 'receipts',
  events: [paid, receipt],
  views: {
    numbers: view({
      from: [paid],
      key: 'buyer',
      emits: [receipt],
      initial: () => ({ numbers: [] as number[] }),
      fold(state, { data }, context) {
        if (data.currency === 'none') throw new Error('no such currency')
        // A cause outside of the code, which has gone when the process is started anew.
        if (data.currency === 'late' && process.env['MILLRACE_TEST_RATES'] === undefined) {
          throw new Error('its rate is not known yet')
        }
        state.numbers.push(data.number)
        context.emit(receipt, { till: data.buyer, number: data.number })
      },
      read: state => state.numbers,
    }),
  },
})
