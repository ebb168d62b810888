// The part of a draw that a browser can check: the promised number, the list of entries, and that a receipt is in it.

/** Whether this browser computes hashes here: on a plain http address it does not. */
export const canCheck = () => Boolean(globalThis.crypto?.subtle);

/** The algorithm whose root is recomputed here. The root of another is only compared with the published one. */
const ALGORITHM = 'madang-draw-1';

const bytes = (/** @type {string} */ hex) => Uint8Array.from(hex.match(/../g) ?? [], (h) => parseInt(h, 16));
const hex = (/** @type {Uint8Array} */ all) => [...all].map((b) => b.toString(16).padStart(2, '0')).join('');
const text = (/** @type {string} */ value) => new TextEncoder().encode(value);
const sha256 = async (/** @type {Uint8Array[]} */ ...parts) => {
  const whole = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  parts.reduce((at, p) => (whole.set(p, at), at + p.length), 0);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
};

/** @param {number} n @param {number} size big-endian */
const integer = (n, size) => {
  const out = new Uint8Array(size);
  for (let i = size - 1, rest = n; i >= 0; i--, rest = Math.floor(rest / 256)) out[i] = rest % 256;
  return out;
};

/** @param {number} entryNo @param {number} weight @param {Uint8Array} receiptHash */
const leaf = (entryNo, weight, receiptHash) =>
  sha256(Uint8Array.of(0), integer(entryNo, 8), integer(weight, 4), receiptHash);
/** @param {Uint8Array} left @param {Uint8Array} right */
const node = (left, right) => sha256(Uint8Array.of(1), left, right);

/** The root of the tree of RFC 6962. @param {Uint8Array[]} leaves hashed @returns {Promise<Uint8Array>} */
async function tree(leaves) {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0];
  const left = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return node(await tree(leaves.slice(0, left)), await tree(leaves.slice(left)));
}

/** The root that the close publishes: over event, number of entries, rules and tree. @param {any} proof */
async function rootOf({ eventId, count, rules, merkleRoot }) {
  const prizes = rules.prizes.flatMap((/** @type {any} */ prize) => {
    const name = text(prize.name);
    return [integer(name.length, 4), name, integer(prize.quantity, 4)];
  });
  const rulesHash = await sha256(integer(rules.prizes.length, 4), ...prizes, integer(rules.visitWeight ?? 1, 4));
  const event = bytes(eventId.replaceAll('-', ''));
  return hex(await sha256(Uint8Array.of(2), event, integer(count, 8), rulesHash, bytes(merkleRoot)));
}

/** @param {() => Promise<boolean>} check a proof of another shape fails it */
const holds = (check) => check().catch(() => false);

/**
 * Checks a proof of `GET /api/participation/events/{slug}/draw` against what was published before the draw.
 * @param {any} proof @param {{commitment?: string|null, root?: string|null}} [published] by the event's page
 * @returns {Promise<{promised: boolean, listed: boolean}>} is the seed the promised one, are the leaves those of the
 *   close
 */
export async function checkProof(proof, { commitment, root } = {}) {
  const promised = await holds(async () => {
    const hash = hex(await sha256(bytes(proof.seed)));
    return hash === proof.commitment && hash === (commitment ?? hash);
  });
  const listed = await holds(async () => {
    const hashed = (/** @type {[number, string]} */ [weight, receipt], /** @type {number} */ i) =>
      leaf(i + 1, weight, bytes(receipt));
    const leaves = await Promise.all(proof.leaves.map(hashed));
    const known = proof.algorithm !== ALGORITHM || (await rootOf(proof)) === proof.root;
    const same = leaves.length === proof.count && hex(await tree(leaves)) === proof.merkleRoot;
    return same && known && proof.root === (root ?? proof.root);
  });
  return { promised, listed };
}

/**
 * Checks that a receipt is in the list of a proof, by its path to the list's root (RFC 9162, 2.1.3.2).
 * @param {string} receipt @param {number} entryNo @param {any} inclusion of `GET /api/participation/receipts/{receipt}`
 * @param {any} proof one whose list was checked
 */
export const included = (receipt, entryNo, inclusion, proof) =>
  holds(async () => {
    let index = entryNo - 1;
    let last = proof.count - 1;
    if (!(index >= 0 && index <= last)) return false;
    let hash = await leaf(entryNo, inclusion.weight, await sha256(text(receipt)));
    for (const other of inclusion.path) {
      if (last === 0) return false;
      if (index % 2 === 1 || index === last) {
        hash = await node(bytes(other), hash);
        while (index % 2 === 0 && index !== 0) [index, last] = [index / 2, Math.floor(last / 2)];
      } else {
        hash = await node(hash, bytes(other));
      }
      [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
    }
    return last === 0 && hex(hash) === proof.merkleRoot;
  });
