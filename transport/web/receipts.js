// The receipts that this browser has of one event, one entry of storage each: two people, or two tabs, never overwrite
// each other's. And the keys of entries whose answer did not arrive.
import { randomHex } from './once.js';
import { device, parsed, tab } from './store.js';

const RECEIPT = /^[0-9a-f]{32}$/;
/** Drawers that phones are spread over: too few to tell a phone by its drawer. Two phones may share one: the same key
 * with another phone is another entry. */
const DRAWERS = 4_096;

/** Brings a receipt into its one form, however it was copied. @param {string} text */
export const receiptOf = (text) =>
  text
    .normalize('NFKC')
    .replace(/[^\p{L}\p{N}]/gu, '')
    .toLowerCase();

/** @param {string} slug */
export function receiptsOf(slug) {
  const before = `madang-receipt-${slug}`;
  const prefix = `${before}.`;
  const own = `madang-own-${slug}`;
  const sent = `madang-sent-${slug}`;
  const ofThisTab = () => [parsed(tab.read(own))].flat().filter((receipt) => RECEIPT.test(receipt));
  const entryNo = (/** @type {string} */ receipt) => Number(device.read(prefix + receipt)) || 0;
  const drawer = (/** @type {string} */ phone) => `madang-key-${slug}.${drawerOf(phone)}`;
  return {
    /** Those of this tab, the newest first. @returns {string[]} */
    ofThisTab: () => ofThisTab().sort((a, b) => entryNo(b) - entryNo(a)),
    /** Those that other tabs or earlier customers left at this device, the newest first. @returns {string[]} */
    ofOthers() {
      const kept = device
        .keys()
        .filter((key) => key.startsWith(prefix))
        .map((key) => key.slice(prefix.length));
      // Where a browser of an earlier version kept its only one.
      const all = new Set([...kept, device.read(before) ?? ''].filter((r) => RECEIPT.test(r)));
      const own = ofThisTab();
      return [...all].filter((r) => !own.includes(r)).sort((a, b) => entryNo(b) - entryNo(a));
    },
    /** Somebody else is at this tab: its receipts are those of an earlier customer. */
    handOver: () => tab.forget(own),
    /** Returns whether a later visit will find it. @param {string} receipt @param {number} number */
    add(receipt, number) {
      const kept = device.write(prefix + receipt, String(number));
      tab.write(own, JSON.stringify([...new Set([...ofThisTab(), receipt])]));
      return kept;
    },
    /** @param {string} receipt */
    forget(receipt) {
      device.forget(prefix + receipt);
      if (device.read(before) === receipt) device.forget(before);
      tab.write(own, JSON.stringify(ofThisTab().filter((r) => r !== receipt)));
    },
    /** The key for an entry of this phone: the same one until it is answered. @param {string} phone */
    key(phone) {
      const known = device.read(drawer(phone)) ?? '';
      if (RECEIPT.test(known)) return known;
      const key = randomHex(16);
      device.write(drawer(phone), key);
      return key;
    },
    /** Forgets key and mark of an answered entry. @param {string} phone */
    answered(phone) {
      device.forget(drawer(phone));
      tab.forget(sent);
    },
    /** An entry is on its way. */
    sending: () => tab.write(sent, '1'),
    /** Whether this tab sent an entry that it knows no answer of. */
    unanswered: () => tab.read(sent) !== null,
    /** No answer will come any more. */
    giveUp: () => tab.forget(sent),
  };
}

/** FNV-1a of the last eight digits: what all spellings of a phone have in common. @param {string} phone */
function drawerOf(phone) {
  const digits = phone.normalize('NFKC').replace(/\D/g, '').slice(-8);
  let hash = 2_166_136_261;
  for (const digit of digits) hash = Math.imul(hash ^ digit.charCodeAt(0), 16_777_619) >>> 0;
  return hash % DRAWERS;
}
