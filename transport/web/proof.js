// What a browser can check of a draw's proof: the promised number, and the list of entries.

const bytes = (/** @type {string} */ hex) => Uint8Array.from(hex.match(/../g) ?? [], (h) => parseInt(h, 16));
const hex = (/** @type {Uint8Array} */ all) => [...all].map((b) => b.toString(16).padStart(2, '0')).join('');
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

/** The root of the tree of RFC 6962. @param {Uint8Array[]} leaves hashed @returns {Promise<Uint8Array>} */
async function tree(leaves) {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0];
  const left = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return sha256(Uint8Array.of(1), await tree(leaves.slice(0, left)), await tree(leaves.slice(left)));
}

/**
 * Checks a proof of `GET /api/participation/events/{slug}/draw`.
 * @param {any} proof
 * @returns {Promise<{promised: boolean, listed: boolean}>} is the seed the promised one, are the leaves those of the close
 */
export async function checkProof(proof) {
  const leaves = await Promise.all(proof.leaves.map((/** @type {[number, string]} */ [weight, receipt], /** @type {number} */ i) => sha256(Uint8Array.of(0), integer(i + 1, 8), integer(weight, 4), bytes(receipt))));
  return {
    promised: hex(await sha256(bytes(proof.seed))) === proof.commitment,
    listed: leaves.length === proof.count && hex(await tree(leaves)) === proof.merkleRoot,
  };
}
