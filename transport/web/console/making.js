// Making an event: objective, proposal, pictures, channels, approval.
import { api, create, edit, get } from '../api.js';
import { now } from '../clock.js';
import { button, confirmed, el, field, form, keepTyped, ownPicture, reason, show, typed, typedFields } from '../ui.js';
import { CHANNELS, fromField, name, number, said, toField, when, won } from '../words.js';
import { t } from '../words/making.js';
import { followJob } from './job.js';
import pictures from './pictures.js';

/** How long an event lasts unless the proposal or the owner says so. */
const USUAL_DAYS = 14;
/** A row that is to be filled in. */
const NO_PRIZE = { name: '', quantity: 1, unitValueWon: 0 };

/** @param {any} e the first step that is still to be done */
const due = (e) => (e.status === 'draft' || !e.endsAt ? 2 : !e.content ? 3 : !e.channels.length ? 4 : 5);

/** @param {import('../console.js').Page} page @param {any} event */
export default async function making(page, event) {
  const furthest = due(event);
  const step = Math.min(Number(page.rest[0]) || furthest, furthest);
  const place = el('div', {});
  const to = (/** @type {number} */ n) => page.go(`#event/${event.id}/${n}`);
  const steps = [t('s1'), t('s2'), t('s3'), t('s4'), t('s5')].map((label, i) => {
    const n = i + 1,
      reachable = n > 1 && n <= furthest;
    const text = el('span', {}, el('b', {}, n), ' ', label);
    return el(
      'li',
      { class: n < step ? 'done' : null, 'aria-current': n === step && 'step' },
      reachable && n !== step ? el('a', { href: `#event/${event.id}/${n}` }, text) : text,
    );
  });
  show(
    page.main,
    el('h2', {}, event.title ?? t('untitled')),
    el('p', { class: 'quiet' }, name(event.objective)),
    el('nav', { 'aria-label': t('steps') }, el('ol', { class: 'steps' }, steps)),
    place,
    el(
      'p',
      { class: 'row end' },
      button(
        t('remove'),
        async () => {
          if (!(await confirmed(t('remove'), t('removeSure')))) return;
          await edit('DELETE', `/api/events/${event.id}`, undefined, event.version);
          page.go('#');
        },
        { class: 'link' },
      ),
    ),
  );
  const at = { page, event, place, to };
  await [proposals, pictures, channels, approval][step - 2](at);
}

/** @typedef {{page: import('../console.js').Page, event: any, place: HTMLElement, to: (step: number) => void}} At */

/** @param {At} at */
async function proposals({ page, event, place, to }) {
  const meter = el('div', {}),
    list = el('div', { class: 'options', 'aria-live': 'polite' }),
    plan = el('div', {}),
    trends = el('div', {});
  show(place, el('h3', {}, t('three')), meter, list, plan, trends);
  /** @type {Map<string, any>} */
  const cards = new Map();
  const add = (/** @type {any} */ o) => {
    if (cards.has(o.tier)) return;
    const take = () => {
      keepTyped(takenAs(event), o.id);
      for (const c of list.children) c.classList.toggle('chosen', c === card);
      show(plan, details(event, o, to));
    };
    const card = option(
      o,
      o.id === event.optionId,
      o.id &&
        (() => {
          take();
          plan.scrollIntoView({ behavior: 'smooth', block: 'start' });
        }),
    );
    cards.set(o.tier, card);
    list.append(card);
    // After a reload, where one was.
    if (o.id && o.id !== event.optionId && typed(takenAs(event)) === o.id) take();
  };
  // A copy has a plan, though nobody offered it for this event, and lacks its dates only.
  if (event.optionId) show(plan, details(event, { id: event.optionId }, to));
  const result = await offers().catch((error) => {
    if (!event.optionId) throw error;
    // The chosen proposal can be kept without new ones.
    show(meter, el('p', { class: 'banner warning' }, reason(error)));
  });
  if (!result) return;
  result.options.forEach(add);
  if (result.mode === 'SANDBOX')
    list.before(el('p', {}, el('span', { class: 'badge sandbox' }, `SANDBOX ${t('SANDBOX')}`)));
  show(
    trends,
    el(
      'details',
      { class: 'card' },
      el('summary', {}, t('trends')),
      el(
        'ul',
        {},
        Object.values(result.trends)
          .flat()
          .map((line) => el('li', {}, line)),
      ),
    ),
  );

  async function offers() {
    const answer = await create('/api/ai/recommendations', { eventId: event.id }, `${event.id} ${event.version}`);
    if (!answer.jobId) {
      show(meter);
      return answer;
    }
    const job = await followJob(page, answer.jobId, meter, t('thinking'), (data) => data.option && add(data.option));
    show(meter, job.fallback && el('p', { class: 'banner warning' }, t('fallback', { t: when(job.fallback.asOf) })));
    // Proposals that were shown on the way had no ids yet.
    cards.clear();
    show(list);
    return job.result;
  }
}

/** The sales that 100,000 won bring at a return of so many per cent. @param {{low: number, high: number}} percent */
function sales({ low, high }) {
  // In units of 10,000 won, rounded down: an estimate promises nothing.
  const [a, b] = [low, high].map((percent) => Math.max(0, Math.floor(10 + percent / 10)));
  return t('roi', { a: number(a), b: number(b), c: won(a * 10_000), d: won(b * 10_000) });
}

/** @param {any} o @param {boolean} chosen @param {(() => void)|undefined} take */
const option = (o, chosen, take) =>
  el(
    'article',
    { class: chosen ? 'card option chosen' : 'card option' },
    el('span', { class: 'badge' }, name(o.tier)),
    el('h4', {}, o.title),
    el('p', {}, o.summary),
    el('p', { class: 'quiet' }, o.mechanics),
    el(
      'ul',
      { class: 'plain-list' },
      o.prizes.map((/** @type {any} */ p) =>
        el('li', {}, `${p.name} × ${number(p.quantity)} (${won(p.unitValueWon)})`),
      ),
    ),
    el(
      'p',
      { class: 'expected' },
      el('strong', {}, `${t('expected')}: `),
      [
        t('days', { n: o.durationDays }),
        t('people', { a: number(o.expected.participants.low), b: number(o.expected.participants.high) }),
        t('cost', { c: won(o.expected.costWon) }),
        sales(o.expected.roiPercent),
      ].join(' · '),
    ),
    el(
      'details',
      {},
      el('summary', {}, t('why')),
      el(
        'ul',
        {},
        o.rationale.map((/** @type {string} */ r) => el('li', {}, r)),
      ),
    ),
    take && el('div', { class: 'row' }, button(chosen ? t('chosen') : t('choose'), take)),
  );

/** Which proposal was taken last, of this version. @param {any} event */
const takenAs = (event) => `taken ${event.id} ${event.version}`;

/** Key of typed text: event, version and proposal. @param {any} event @param {any} o */
const typedAs = (event, o) => `plan ${event.id} ${event.version} ${o.id}`;

/**
 * The plan under a proposal: name, dates, prizes, the visit bonus. @param {any} event @param {any} o
 * @param {(step: number) => void} to
 */
function details(event, o, to) {
  const same = event.optionId === o.id;
  const prizes = el('div', {});
  let rows = 0;
  const row = (/** @type {any} */ p) => {
    const n = ++rows;
    const part = (/** @type {string} */ key, /** @type {string} */ label, /** @type {any} */ attributes) =>
      field(key, label, { id: `f-prize-${n}-${key}`, ...attributes });
    const node = el(
      'div',
      { class: 'prize' },
      part('name', t('prize'), { value: p.name }),
      part('quantity', t('quantity'), { type: 'number', min: 1, value: p.quantity }),
      part('unitValueWon', t('value'), { type: 'number', min: 0, value: p.unitValueWon }),
      n > 1 &&
        el(
          'button',
          {
            type: 'button',
            class: 'link',
            onclick: () => {
              node.remove();
              renumber();
            },
          },
          t('less'),
        ),
    );
    prizes.append(node);
    renumber();
  };
  // Errors of the API name the row as it is sent.
  const renumber = () =>
    [...prizes.children].forEach((node, i) =>
      node
        .querySelectorAll('input')
        .forEach((/** @type {any} */ input) => (input.name = `prizes[${i}].${input.id.split('-').pop()}`)),
    );
  const given = same ? event.prizes : o.prizes,
    known = Object.keys(typedFields(typedAs(event, o)) ?? {});
  const count = known.filter((key) => /^prizes\[\d+\]\.name$/.test(key)).length || given.length;
  for (let i = 0; i < count; i++) row(given[i] ?? NO_PRIZE);
  const weights = el(
    'select',
    {},
    [0, 2, 3, 5, 10].map((n) =>
      el(
        'option',
        { value: n, selected: n === (same ? (event.visitBonus?.weight ?? 0) : 3) },
        n ? t('times', { n }) : t('none'),
      ),
    ),
  );
  // A start that is over already is the one of the approval.
  const later = same && Date.parse(event.startsAt) > now() ? toField(event.startsAt) : '';
  // Left out, a start is what the server has: its own time, or one that was chosen before and is taken back now.
  const start = (/** @type {string} */ typed) =>
    typed ? { startsAt: fromField(typed) } : later ? { startsAt: new Date(now()).toISOString() } : {};
  return el(
    'section',
    { class: 'card' },
    el('h3', {}, t('details')),
    form(
      [
        field('title', t('title'), { value: same ? event.title : o.title }),
        el(
          'div',
          { class: 'two' },
          field('startsAt', t('starts'), { type: 'datetime-local', required: false, value: later, hint: t('now') }),
          field('endsAt', t('ends'), {
            type: 'datetime-local',
            required: false,
            value: toField(
              same && event.endsAt
                ? event.endsAt
                : new Date(now() + (o.durationDays ?? USUAL_DAYS) * 86_400_000).toISOString(),
            ),
          }),
        ),
        prizes,
        el('button', { type: 'button', class: 'link', onclick: () => row(NO_PRIZE) }, t('more')),
        field('visitBonus', t('visit'), {}, weights),
      ],
      t('next'),
      async (v) => {
        const listed = [...prizes.children].map((node) => {
          const [n, q, u] = node.querySelectorAll('input');
          return { name: n.value, quantity: Number(q.value), unitValueWon: Number(u.value) };
        });
        await edit(
          'PUT',
          `/api/events/${event.id}/plan`,
          {
            optionId: o.id,
            title: v.title,
            prizes: listed,
            ...start(v.startsAt),
            ...(v.endsAt ? { endsAt: fromField(v.endsAt) } : {}),
            visitBonus: Number(v.visitBonus) ? { weight: Number(v.visitBonus) } : null,
          },
          event.version,
        );
        to(3);
      },
      typedAs(event, o),
    ),
  );
}

/** @param {any} c a channel of the preflight */
const standing = (c) => [
  el(
    'span',
    { class: c.mode === 'SANDBOX' ? 'badge sandbox' : 'badge' },
    c.mode === 'SANDBOX' ? `SANDBOX ${t('SANDBOX')}` : `${c.mode} ${t(c.mode)}`,
  ),
  ' ',
  el('span', { class: 'quiet' }, c.costWon ? won(c.costWon) : t('free')),
  ' ',
  c.ok
    ? el('span', { class: 'good' }, `✓ ${t('ok')}`)
    : c.missing.map((/** @type {any} */ m) => el('span', { class: 'quiet block' }, said(m))),
];

/** @param {At} at */
async function channels({ event, place, to }) {
  let version = event.version;
  const wanted = new Set(event.channels.length ? event.channels : CHANNELS);
  /** @type {Map<string, HTMLElement>} */
  const places = new Map(CHANNELS.map((c) => [c, el('div', { class: 'standing' })]));
  // The preflight says what a chosen channel lacks: each change is saved, one after the other.
  let saving = Promise.resolve();
  const problem = el('p', { class: 'bad', role: 'alert' });
  const save = () =>
    (saving = saving
      .catch(() => {})
      .then(async () => {
        for (const [c, node] of places) if (!wanted.has(c)) show(node);
        if (!wanted.size) return;
        version = (
          await edit(
            'PUT',
            `/api/events/${event.id}/channels`,
            { channels: CHANNELS.filter((c) => wanted.has(c)) },
            version,
          )
        ).version;
        for (const c of (await get(`/api/events/${event.id}/preflight`)).channels)
          show(/** @type {Element} */ (places.get(c.channel)), standing(c));
      }));
  show(
    place,
    el(
      'section',
      { class: 'card' },
      el('h3', {}, t('channels')),
      CHANNELS.map((c) =>
        el(
          'div',
          { class: 'channel' },
          el(
            'label',
            { class: 'check' },
            el('input', {
              type: 'checkbox',
              checked: wanted.has(c),
              onchange: (/** @type {any} */ e) => {
                if (e.target.checked) wanted.add(c);
                else wanted.delete(c);
                save().then(
                  () => show(problem),
                  (error) => show(problem, reason(error)),
                );
              },
            }),
            el('span', {}, el('strong', {}, name(c)), el('span', { class: 'quiet block' }, t(c))),
          ),
          places.get(c),
        ),
      ),
      problem,
      el(
        'div',
        { class: 'row' },
        button(t('back'), () => to(3), { class: 'plain' }),
        button(t('next'), async () => {
          if (!wanted.size) throw new Error(t('atLeast'));
          await save();
          to(5);
        }),
      ),
    ),
  );
  await save();
}

/** @param {At} at */
async function approval({ page, event, place, to }) {
  const [preflight, pictures, shops] = await Promise.all([
    get(`/api/events/${event.id}/preflight`),
    get(`/api/events/${event.id}/images`),
    get('/api/stores'),
  ]);
  const chosen = pictures.items.filter((/** @type {any} */ i) => event.content.imageIds.includes(i.id));
  const worth = event.prizes.reduce(
    (/** @type {number} */ sum, /** @type {any} */ p) => sum + p.quantity * p.unitValueWon,
    0,
  );
  const publishing = preflight.channels.reduce((/** @type {number} */ sum, /** @type {any} */ c) => sum + c.costWon, 0);
  const rejected = shops.items.find((/** @type {any} */ s) => s.id === event.storeId)?.verification === 'REJECTED';
  show(
    place,
    el(
      'section',
      { class: 'card' },
      el('h3', {}, t('summary')),
      el(
        'dl',
        {},
        el('dt', {}, t('period')),
        el(
          'dd',
          {},
          `${Date.parse(event.startsAt) > now() ? when(event.startsAt) : t('atOnce')} – ${when(event.endsAt)}`,
        ),
        el('dt', {}, t('prizes')),
        el(
          'dd',
          {},
          event.prizes.map((/** @type {any} */ p) => el('div', {}, `${p.name} × ${number(p.quantity)}`)),
          el('div', { class: 'quiet' }, t('total', { w: won(worth) })),
        ),
        el('dt', {}, t('costs')),
        el('dd', {}, t('allCosts', { p: won(worth), c: won(publishing), w: won(worth + publishing) })),
        event.visitBonus && [el('dt', {}, t('bonus')), el('dd', {}, t('odds', { n: event.visitBonus.weight }))],
      ),
      el(
        'div',
        { class: 'pictures small' },
        chosen.map((/** @type {any} */ i) =>
          el('img', { src: ownPicture(i.url), alt: i.altText, width: i.width, height: i.height }),
        ),
      ),
      el(
        'ul',
        { class: 'plain-list' },
        preflight.channels.map((/** @type {any} */ c) =>
          el('li', { class: 'channel' }, el('strong', {}, name(c.channel)), ' ', standing(c)),
        ),
      ),
      rejected && el('p', { class: 'banner warning' }, t('rejected')),
      el(
        'div',
        { class: 'row' },
        button(t('back'), () => to(4), { class: 'plain' }),
        button(t('approve'), async () => {
          if (!(await confirmed(t('approve'), t('sure'), t('approve')))) return;
          await api('POST', `/api/events/${event.id}/approve`, undefined, { 'if-match': `"${event.version}"` }).catch(
            async (problem) => {
              // Another tab, or the first of two taps, was sooner: what was wanted is done.
              const { status } = await get(`/api/events/${event.id}`);
              if (['draft', 'planned', 'ready'].includes(status)) throw problem;
            },
          );
          page.go(`#event/${event.id}`);
        }),
      ),
    ),
  );
}
