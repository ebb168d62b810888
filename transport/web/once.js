// Doing something once: its `Idempotency-Key` stays the same until an answer arrives, across presses and reloads.
import { now } from './clock.js';
import { isObject, parsed, tab } from './store.js';

/** Hours a key is used for. The server knows it for 24. */
const KEY_HOURS = 23;

/** Random bytes as hex. @param {number} n */
export const randomHex = (n) =>
  [...crypto.getRandomValues(new Uint8Array(n))].map((b) => b.toString(16).padStart(2, '0')).join('');

/**
 * Sends what must not happen twice. An error without a status, a 5xx and a 429 are no answer: the next call for the
 * same thing sends the same key.
 * @template T
 * @param {string} what names the thing: the same name for every try @param {(key: string) => Promise<T>} send
 * @returns {Promise<T>}
 */
export async function once(what, send) {
  const name = `once ${what}`;
  try {
    return await attempt(name, send);
  } catch (/** @type {any} */ error) {
    // The first try was for something else, as far as the server is concerned: another form, say.
    if (error?.code !== 'idempotency-key-reused') throw error;
    return attempt(name, send);
  }
}

/**
 * Sends with the key of this name, and forgets the key once there is an answer.
 * @template T
 * @param {string} name @param {(key: string) => Promise<T>} send @returns {Promise<T>}
 */
async function attempt(name, send) {
  try {
    const answer = await send(keyOf(name));
    tab.forget(name);
    return answer;
  } catch (/** @type {any} */ error) {
    if (isAnswer(error?.status)) tab.forget(name);
    throw error;
  }
}

/** @param {number|undefined} status */
const isAnswer = (status) => status !== undefined && status < 500 && status !== 408 && status !== 429;

/** @param {string} name @returns {string} */
function keyOf(name) {
  const known = parsed(tab.read(name));
  const age = isObject(known) && typeof known.at === 'number' ? now() - known.at : Infinity;
  if (isObject(known) && /^[0-9a-f]{32}$/.test(String(known.key)) && age < KEY_HOURS * 3_600_000) {
    return String(known.key);
  }
  const key = randomHex(16);
  tab.write(name, JSON.stringify({ key, at: now() }));
  return key;
}
