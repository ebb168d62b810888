// The code of a visit, however it was typed, pasted or linked.

/** A token, as a QR code in the shop carries it. */
const TOKEN = /^[\w-]{16,128}$/;

/** Spaces, hyphens, dots and what cannot be seen. */
const BETWEEN = /[\s\p{Pd}\p{Cf}._·]/gu;

/** The token of a link, if it has one. @param {string} address @returns {string|null} */
export function tokenOf(address) {
  const [, query = ''] = address.split('?');
  const token = new URLSearchParams(query.split('#')[0]).get('v')?.trim() ?? '';
  return TOKEN.test(token) ? token : null;
}

/**
 * The six digits or the token in what was typed; null when it is neither. @param {string} typed
 * @returns {string|null}
 */
export function visitCodeOf(typed) {
  const plain = typed.normalize('NFKC').trim();
  const digits = plain.replace(BETWEEN, '');
  if (/^\d{6}$/.test(digits)) return digits;
  return tokenOf(plain) ?? (TOKEN.test(plain) ? plain : null);
}
