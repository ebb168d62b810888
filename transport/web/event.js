// The customer page: one screen, one form, receipts, the live count, honest odds, later the winners.
import { learn } from './clock.js';
import { Live } from './live.js';
import { problemOf } from './problems.js';
import { receiptOf, receiptsOf } from './receipts.js';
import {
  announcer,
  button,
  confirmed,
  copy,
  el,
  failed,
  field,
  forgetTyped,
  form,
  keepTyped,
  loading,
  reach,
  show,
  socketUrl,
  typed,
  unreached,
} from './ui.js';
import { tokenOf, visitCodeOf } from './visitcodes.js';
import { CHANNELS, language, name, number, percent, speak, when, won } from './words.js';
import { t } from './words/event.js';

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const slug = location.pathname.split('/')[2] ?? '';
const named = (new URLSearchParams(location.search).get('c') ?? '').trim().toUpperCase();
/** Where the customer comes from. A link that names something else is as good as one without a name. */
const source = [...CHANNELS, 'QR'].includes(named) ? named : 'DIRECT';
const base = `/api/participation/events/${slug}`;
const receipts = receiptsOf(slug);
/** Tries of one entry while too many come at once: about half a minute, then the customer decides. */
const MAX_TRIES = 12;
/** Four more receipts are shown at once. A tablet of a shop may have hundreds, and each is a request. */
const MAX_SHOWN = 4;
/** Ten minutes after the last key, what was typed and not sent is emptied: the next customer at a tablet finds nothing. */
const ABANDONED_MS = 600_000;
/** Names under which the tab keeps typed text until it is sent. */
const TYPED = { entry: `entry ${slug}`, at: `at ${slug}`, notice: `notice ${slug}`, receipt: `receipt ${slug}` };

/** The token of the shop's QR code, until the server refuses it. */
let token = tokenOf(location.href);
/** Whether somebody else is entering at this device. */
let another = false;
/** How many receipts of others at this device are shown. */
let others = 0;
/** Empties the form of the page if it was abandoned. */
let emptyAbandoned = () => {};
/** Receipts that no storage took. @type {Set<string>} */
const unkept = new Set();

/**
 * @param {string} method @param {string} path @param {any} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
async function call(method, path, body, headers = {}) {
  /** @type {Record<string, string>} */
  const all = { 'accept-language': language, ...headers };
  if (body) all['content-type'] = 'application/json';
  const response = await reach(path, { method, headers: all, body: body && JSON.stringify(body) });
  if (response.ok) return response.status === 204 ? null : response.json().catch(() => Promise.reject(unreached()));
  const problem = await problemOf(response);
  const seconds = Number(response.headers.get('retry-after')) || 1;
  throw Object.assign(new Error(problem.detail), { problem, code: problem.code, status: response.status, seconds });
}

const busy = el('p', { class: 'quiet', role: 'status' });

/**
 * Sends an entry with the key of its phone. Told to come back, it does so when it was told, and a little later by
 * chance. Once it waits, a lost answer is only one more try: the key makes that safe.
 * @param {any} body
 */
async function enter(body) {
  const headers = { 'idempotency-key': receipts.key(body.phone) };
  receipts.sending();
  try {
    for (let tried = 1; ; tried++) {
      const answer = await call('POST', `${base}/entries`, body, headers).catch((error) => error);
      if (!(answer instanceof Error)) return answer;
      const { status, code, seconds = 1 } = /** @type {any} */ (answer);
      if (code === 'already-entered') receipts.answered(body.phone);
      else if (status < 500 && status !== 429) receipts.giveUp();
      const passing = status === 503 || (status === undefined && tried > 1);
      if (!passing || tried === MAX_TRIES) throw answer;
      show(busy, t('busy'));
      await new Promise((again) => setTimeout(again, 1_000 * (Math.min(seconds, 10) + 2 * Math.random())));
    }
  } finally {
    show(busy);
  }
}

const stands = el('span', {});
const count = el('p', { class: 'live-count' });
const odds = el('p', {});
const said = announcer();

/** @param {any} event @param {number} n */
function counted(event, n) {
  show(count, el('strong', {}, t('count', { n: number(n) })));
  said.tell(t('countSaid', { n: number(n) }));
  // If this customer enters, there is one more.
  const share = Math.min(1, event.odds.prizes / (n + (event.status === 'live' ? 1 : 0) || 1));
  const chance = share < 1 ? t('odds', { p: percent(share, share < 0.1 ? 2 : 0) }) : t('spare');
  const notes = [share < 1 && t('less'), event.visitBonus && t('mineOdds')].filter(Boolean);
  show(odds, chance, ' ', el('span', { class: 'quiet' }, notes.join(' · ')));
}

/** @param {string} key @param {string} label @param {boolean} [required] */
const check = (key, label, required = false) =>
  el(
    'label',
    { class: 'check' },
    el('input', { type: 'checkbox', name: key, id: `f-${key.replace('.', '-')}`, required }),
    label,
  );

/** The field of the visit code, or what stands in its place when a link brought a token. @param {any} event */
function visited({ visitBonus }) {
  if (!visitBonus) return null;
  if (token) return el('p', { class: 'good' }, t('codeThere', { n: visitBonus.weight }));
  const hint = t('codeHint', { n: visitBonus.weight });
  return field('visitCode', t('code'), { inputmode: 'numeric', required: false, autocomplete: 'off', hint });
}

/** The visit code to send with an entry, if any. @param {any} event @param {string|undefined} text */
function codeToSend(event, text) {
  if (!event.visitBonus) return {};
  if (token) return { visitCode: token };
  if (!text?.trim()) return {};
  const visitCode = visitCodeOf(text);
  if (visitCode) return { visitCode };
  // A wrong try counts on the server: this is none.
  throw Object.assign(new Error(), { problem: { errors: [{ field: 'visitCode', detail: t('codeWrong') }] } });
}

/** @param {any} event */
function entry(event) {
  const { version, text } = event.notice;
  if (isAbandoned()) forgetEntry();
  const node = form(
    [
      receipts.unanswered() && el('p', { class: 'banner warning' }, t('unanswered')),
      field('name', t('name'), { autocomplete: 'name' }),
      field('phone', t('phone'), { type: 'tel', autocomplete: 'tel', placeholder: '010-1234-5678' }),
      visited(event),
      el('details', { open: true }, el('summary', {}, t('notice')), el('p', { class: 'quiet' }, text)),
      el(
        'div',
        { class: 'field' },
        check('consents.privacy', t('privacy'), true),
        el('p', { id: 'f-consents-privacy-e', class: 'bad', hidden: true }),
      ),
      check('marketing', t('marketing')),
      check('night', t('night')),
    ],
    t('enter'),
    (values) => submitted(event, values),
    TYPED.entry,
  );
  const privacy = node.elements.namedItem('consents.privacy');
  // A notice that changed must be read, and agreed to, before it counts.
  if (typed(TYPED.notice) !== version) privacy.checked = false;
  privacy.addEventListener('change', () => keepTyped(TYPED.notice, version));
  /** @type {any} */
  let timer;
  emptyAbandoned = () => {
    if (!isAbandoned()) return;
    forgetEntry();
    node.reset();
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => node.isConnected && emptyAbandoned(), ABANDONED_MS);
  };
  node.addEventListener('input', () => {
    keepTyped(TYPED.at, Date.now());
    wait();
  });
  wait();
  return el('section', { class: 'card' }, node, busy);
}

function isAbandoned() {
  const at = typed(TYPED.at);
  return typeof at === 'number' && Math.abs(Date.now() - at) >= ABANDONED_MS;
}

const forgetEntry = () => [TYPED.entry, TYPED.at, TYPED.notice].forEach(forgetTyped);

/** @param {any} event @param {Record<string, string>} v what was typed, by name */
async function submitted(event, v) {
  const consents = {
    privacy: v['consents.privacy'] === 'on',
    marketing: v.marketing === 'on',
    night: v.night === 'on',
  };
  const { version: noticeVersion } = event.notice;
  const body = {
    name: v.name,
    phone: v.phone,
    channel: source,
    noticeVersion,
    consents,
    ...codeToSend(event, v.visitCode),
  };
  const entered = await enter(body).catch(async (error) => {
    const late = token && error.problem?.errors?.some((/** @type {any} */ e) => e.field === 'visitCode');
    if (late) token = null;
    if (late || error.code === 'notice-changed') await renewed(late ? t('codeOver') : error.message);
    throw error;
  });
  if (!receipts.add(entered.receipt, entered.entryNo)) unkept.add(entered.receipt);
  receipts.answered(v.phone);
  another = false;
  // The entry is made, whether or not it can be shown at once.
  await page().catch((error) => show(main, failed(error, page)));
}

/** Shows the form as it is now, with what was typed, and says why. @param {string} why */
async function renewed(why) {
  await page();
  main.querySelector('form')?.prepend(el('p', { class: 'bad', role: 'alert' }, why));
}

/** Reads the entry behind a receipt. @param {string} receipt @returns {Promise<any>} */
async function found(receipt) {
  const entry = await call('GET', `/api/participation/receipts/${encodeURIComponent(receipt)}`);
  if (entry.event.slug !== slug) throw new Error(t('other_event', { e: entry.event.title }));
  return entry;
}

/** @param {string} receipt @param {any} entry @param {boolean} own whether it is of this tab */
function ticket(receipt, entry, own) {
  const { draw } = entry;
  const results = { won: t('won', { p: draw?.prize ?? '' }), alternate: t('alternate'), 'not-won': t('lost') };
  const result = results[/** @type {'won'} */ (draw?.result)] ?? t('wait');
  return el(
    'section',
    { class: 'card receipt' },
    el('h2', {}, t('thanks', { n: number(entry.entryNo) })),
    el('p', {}, el('strong', {}, result)),
    el('p', { class: 'quiet' }, t('keep')),
    unkept.has(receipt) && el('p', { class: 'bad' }, t('unkept')),
    el('p', {}, `${t('receipt')}: `, el('code', { class: 'mono' }, receipt)),
    el(
      'div',
      { class: 'row' },
      button(t('copy'), () => copy(receipt), { class: 'plain' }),
      hiding(receipt),
      own && erasing(receipt, draw),
    ),
  );
}

/** @param {string} receipt */
const hiding = (receipt) =>
  button(
    t('hide'),
    async () => {
      if (!(await confirmed(t('hide'), t('hideSure'), t('hide')))) return;
      receipts.forget(receipt);
      await page();
    },
    { class: 'link' },
  );

/** @param {string} receipt @param {any} draw */
const erasing = (receipt, draw) =>
  button(
    t('erase'),
    async () => {
      const prize = ['won', 'alternate'].includes(draw?.result);
      const warning = prize && el('strong', { class: 'block bad' }, t('eraseWon', { p: draw.prize ?? t('alternate') }));
      if (!(await confirmed(t('erase'), [t('eraseSure'), warning], t('erase')))) return;
      // Gone already is gone.
      await call('DELETE', `/api/participation/receipts/${encodeURIComponent(receipt)}`).catch((error) => {
        if (error.code !== 'not-found') throw error;
      });
      receipts.forget(receipt);
      await page();
    },
    { class: 'link' },
  );

/**
 * A receipt of this browser: its entry and its card; null when the entry was erased elsewhere.
 * @param {string} receipt @param {boolean} own whether it is of this tab
 */
async function kept(receipt, own) {
  try {
    const entry = await found(receipt);
    return { receipt, entry, node: ticket(receipt, entry, own) };
  } catch (/** @type {any} */ error) {
    if (error.code !== 'not-found') {
      // It must not look as if nobody had entered.
      const known = el('p', {}, `${t('receipt')}: `, el('code', { class: 'mono' }, receipt));
      return { receipt, entry: null, node: el('section', { class: 'card receipt' }, known, failed(error, page)) };
    }
    receipts.forget(receipt);
    return null;
  }
}

/** For a customer who entered elsewhere. */
const lookUp = () =>
  el(
    'details',
    { class: 'card' },
    el('summary', {}, t('mine')),
    form(
      [field('receipt', t('receipt'), { autocomplete: 'off' })],
      t('look'),
      async (v) => {
        const receipt = receiptOf(v.receipt);
        const { entryNo } = await found(receipt);
        if (!receipts.add(receipt, entryNo)) unkept.add(receipt);
        await page();
      },
      TYPED.receipt,
    ),
  );

/** Entering somebody else, once there is a receipt. */
const anotherPersonButton = () =>
  el(
    'p',
    { class: 'row' },
    button(
      t('another'),
      async () => {
        if (!(await confirmed(t('another'), t('anotherSure'), t('another')))) return;
        another = true;
        others = 0;
        receipts.handOver();
        await page();
      },
      { class: 'link' },
    ),
  );

/** @param {any} event */
function standing(event) {
  const { status } = event;
  if (status === 'live') return t('until', { t: when(event.endsAt) });
  if (status === 'scheduled') return t('begins', { t: when(event.startsAt) });
  if (status === 'closed') return t('closed', { t: when(event.closedAt) });
  if (status === 'purged' && event.draw.root && !event.draw.drawn) return t('forgone');
  return ['paused', 'drawn', 'cancelled'].includes(status) ? t(status) : t('over');
}

/** @param {any} event @param {boolean} withOdds */
const head = (event, withOdds) =>
  el(
    'section',
    { class: 'event-head' },
    el('p', { class: 'quiet' }, event.storeName),
    el('h1', {}, event.title),
    el('p', {}, el('span', { class: `badge ${event.status}` }, name(event.status)), ' ', stands),
    el(
      'ul',
      { class: 'plain-list prizes' },
      event.prizes.map((/** @type {any} */ p) =>
        el(
          'li',
          {},
          el('strong', {}, t('prize', { n: p.name, q: number(p.quantity) })),
          p.unitValueWon > 0 && el('span', { class: 'quiet' }, ` ${t('worth', { w: won(p.unitValueWon) })}`),
        ),
      ),
    ),
    count,
    said.node,
    withOdds && odds,
  );

/** @param {any} event */
const fairness = (event) =>
  el(
    'details',
    { class: 'card' },
    el('summary', {}, t('fair')),
    el('p', {}, t('fairText')),
    el('p', { class: 'mono' }, event.draw.commitment),
    event.status === 'closed' &&
      event.draw.root && [el('p', {}, t('rooted')), el('p', { class: 'mono' }, event.draw.root)],
  );

/** A button for receipts that are not shown: they may be of earlier customers. @param {number} n how many */
const hidden = (n) =>
  n > 0 &&
  el(
    'p',
    { class: 'row' },
    button(
      t('others', { n: number(n) }),
      async () => {
        others += MAX_SHOWN;
        await page();
      },
      { class: 'link' },
    ),
  );

function languages() {
  const other = language === 'ko' ? 'en' : 'ko';
  return el(
    'p',
    { class: 'row end' },
    el('button', { type: 'button', class: 'link', lang: other, onclick: () => speak(other) }, t('other')),
  );
}

async function page() {
  const event = await call('GET', base);
  document.title = event.title;
  const [ofTab, elsewhere] = [receipts.ofThisTab(), receipts.ofOthers()];
  // One receipt on a device is that of the customer who is back; several are those of customers at a shop's tablet.
  const back = ofTab.length === 0 && elsewhere.length === 1 && !another;
  const [first, rest] = back ? [elsewhere, []] : [ofTab, elsewhere];
  const shown = [
    ...first.map((receipt) => kept(receipt, true)),
    ...rest.slice(0, others).map((receipt) => kept(receipt, false)),
  ];
  const mine = (await Promise.all(shown)).filter((one) => one !== null);
  // Read again: a receipt that was erased elsewhere is forgotten by now.
  const own = (back ? receipts.ofOthers() : receipts.ofThisTab()).length > 0;
  const live = event.status === 'live';
  // An answer that is still to be heard is heard after the close too.
  const entering = receipts.unanswered() || (live && (another || !own));
  const cards = [mine.map((one) => one.node), hidden(rest.length - others)];
  const drawn = event.draw.drawn && (await import('./drawing.js')).drawing(event, base, call, mine);
  counted(event, event.count);
  show(stands, standing(event));
  show(
    main,
    head(event, live && entering),
    // A customer who is back finds the receipts before the form.
    !own && cards,
    entering && entry(event),
    own && cards,
    drawn,
    live && !entering && anotherPersonButton(),
    !own && lookUp(),
    fairness(event),
    languages(),
  );
  return event;
}

async function start() {
  show(main, loading());
  try {
    let event = await page();
    const live = new Live({ url: socketUrl(), onTime: (time, sent) => learn(time, 0, sent) });
    const seen = async (/** @type {any} */ data) => {
      counted(event, data.count);
      event.endsAt = data.endsAt ?? event.endsAt;
      show(stands, standing(event));
      // The list's fingerprint comes a moment after the close.
      const rooting = event.status === 'closed' && !event.draw.root;
      if (!rooting && (!data.status || data.status === event.status)) return;
      event.status = data.status;
      await page().then(
        (fresh) => (event = fresh),
        (error) => show(main, failed(error, start)),
      );
    };
    live.subscribe(`public:${slug}`, { onSnapshot: seen, onUpdate: ({ data }) => seen(data) });
    addEventListener('online', () => live.wake());
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return;
      emptyAbandoned();
      live.wake();
    });
  } catch (/** @type {any} */ error) {
    show(main, error.status === 404 ? el('p', { class: 'banner warning' }, t('gone')) : failed(error, start));
  }
}
start();
