// The server's time. The browser's clock may be hours off, so each answer narrows down how far off it is.

/** Bounds, in ms, of what has to be added to the browser's clock. */
let least = -Infinity;
let most = Infinity;

/**
 * Learns from a time that the server said. The bounds only ever narrow. A clock that was set meanwhile contradicts them:
 * then the newest ones count.
 * @param {number} from the server's time, in ms since 1970 @param {number} lasts ms for which the server says this time
 * @param {number} sent the browser's clock when it asked @param {number} [received] and when it heard
 */
export function learn(from, lasts, sent, received = Date.now()) {
  const low = from - received;
  const high = from + lasts - sent;
  // NaN fails here too.
  if (!(low <= high)) return;
  least = Math.max(least, low);
  most = Math.min(most, high);
  if (least > most) [least, most] = [low, high];
}

/** Learns from the `Date` of an answer, which has whole seconds. @param {Response} response @param {number} sent */
export function learnFrom(response, sent) {
  const { headers } = response;
  // A cache answers with an earlier time.
  const cached = headers.has('age') || /max-age=[1-9]/.test(headers.get('cache-control') ?? '');
  if (!cached) learn(Date.parse(headers.get('date') ?? ''), 1_000, sent);
}

/** The server's time as far as it is known, in ms since 1970. A clock that may be right is left as it is. */
export function now() {
  const right = least <= 0 && most >= 0;
  return Date.now() + (right ? 0 : Math.round((least + most) / 2));
}
