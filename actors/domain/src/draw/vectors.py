"""Makes vectors.json: an implementation of madang-draw-1 that shares nothing with the Rust one.

    python3 vectors.py > vectors.json      (standard library only; ChaCha20 is written out)
"""
import hashlib, hmac, json, struct, uuid

def sha(b): return hashlib.sha256(b).digest()

def chacha_block(key, counter):
    def rot(v, n): return ((v << n) | (v >> (32 - n))) & 0xffffffff
    st = list(struct.unpack('<4I', b'expand 32-byte k')) + list(struct.unpack('<8I', key)) + [counter, 0, 0, 0]
    w = st[:]
    def q(a, b, c, d):
        w[a] = (w[a] + w[b]) & 0xffffffff; w[d] = rot(w[d] ^ w[a], 16)
        w[c] = (w[c] + w[d]) & 0xffffffff; w[b] = rot(w[b] ^ w[c], 12)
        w[a] = (w[a] + w[b]) & 0xffffffff; w[d] = rot(w[d] ^ w[a], 8)
        w[c] = (w[c] + w[d]) & 0xffffffff; w[b] = rot(w[b] ^ w[c], 7)
    for _ in range(10):
        q(0, 4, 8, 12); q(1, 5, 9, 13); q(2, 6, 10, 14); q(3, 7, 11, 15)
        q(0, 5, 10, 15); q(1, 6, 11, 12); q(2, 7, 8, 13); q(3, 4, 9, 14)
    return struct.pack('<16I', *[(a + b) & 0xffffffff for a, b in zip(st, w)])

def words(key):
    counter = 0
    while True:
        yield from struct.unpack('<8Q', chacha_block(key, counter))
        counter += 1

def below(stream, n):
    top = (1 << 64) // n * n
    while True:
        w = next(stream)
        if w < top:
            return w % n

def tree(hs):
    if not hs: return sha(b'')
    if len(hs) == 1: return hs[0]
    k = 1
    while k * 2 < len(hs): k *= 2
    return sha(b'\x01' + tree(hs[:k]) + tree(hs[k:]))

def case(weights, quantities, alternates, external, seed, visit):
    event = uuid.UUID('01900000-0000-7000-8000-000000000001')
    receipts = [sha(b'receipt-%d' % (i + 1)) for i in range(len(weights))]
    prizes = [('경품 %d' % (i + 1), q) for i, q in enumerate(quantities)]
    merkle = tree([sha(b'\x00' + struct.pack('>QI', i + 1, w) + r) for i, (w, r) in enumerate(zip(weights, receipts))])
    rules = struct.pack('>I', len(prizes))
    for name, q in prizes:
        n = name.encode()
        rules += struct.pack('>I', len(n)) + n + struct.pack('>I', q)
    rules = sha(rules + struct.pack('>I', visit or 1))
    root = sha(b'\x02' + event.bytes + struct.pack('>Q', len(weights)) + rules + merkle)
    key = hmac.new(seed, b'madang-draw-1' + event.bytes + root + (external or b'') + struct.pack('>I', 1), hashlib.sha256).digest()
    pool = [(i + 1, w) for i, w in enumerate(weights) if w]
    stream, picked = words(key), []
    wanted = min(len(pool), sum(quantities) + alternates)
    if len({w for _, w in pool}) <= 1:
        order = [n for n, _ in pool]
        for i in range(wanted):
            j = i + below(stream, len(order) - i)
            order[i], order[j] = order[j], order[i]
        picked = order[:wanted]
    else:
        for _ in range(wanted):
            t = below(stream, sum(w for _, w in pool))
            for i, (n, w) in enumerate(pool):
                if t < w:
                    picked.append(n); del pool[i]
                    break
                t -= w
    places = [name for name, q in prizes for _ in range(q)]
    winners = [{'prize': p, 'rank': r + 1, 'entryNo': n} for r, (p, n) in enumerate(zip(places, picked))]
    return {
        'algorithm': 'madang-draw-1', 'eventId': str(event), 'round': 1, 'commitment': sha(seed).hex(), 'seed': seed.hex(),
        'external': external.hex() if external else None, 'root': root.hex(), 'merkleRoot': merkle.hex(),
        'count': len(weights), 'rules': {'prizes': [{'name': n, 'quantity': q} for n, q in prizes], 'visitWeight': visit,
        'alternates': alternates}, 'leaves': [[w, r.hex()] for w, r in zip(weights, receipts)],
        'winners': winners, 'alternates': picked[len(winners):],
    }

S = bytes(range(32))
print(json.dumps([
    case([1] * 10, [1, 2], 3, bytes([7] * 32), S, None),
    case([1, 3, 1, 0, 3, 1, 1, 3, 1, 1, 1, 1, 3], [2, 3], 4, bytes([9] * 32), S, 3),
    case([1], [5], 5, None, S, None),
    case([], [1], 1, None, S, None),
    case([0, 0, 2], [1], 0, None, sha(b'another'), 2),
    case([(i * 7) % 4 for i in range(100)], [10, 20, 5], 20, sha(b'external'), sha(b'seed'), 3),
], ensure_ascii=False, indent=1))
