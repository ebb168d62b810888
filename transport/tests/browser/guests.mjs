// What the tests of the field share: customers who enter, answers that are lost, clocks that are wrong, an event's end.
import { until } from './madang.mjs';

/** Loses the answers of the first POSTs to an address: the server has done them. Tells their keys and bodies. */
export async function losing(page, address, times = 1) {
  const sent = [];
  await page.route(address, async (route) => {
    const request = route.request();
    if (request.method() !== 'POST') return route.continue();
    sent.push({ key: request.headers()['idempotency-key'], body: request.postData() });
    if (sent.length > times) return route.continue();
    await route.fetch();
    return route.abort();
  });
  return sent;
}

export async function close(api, live) {
  await api.call('POST', `/api/events/${live.id}/close`);
  await until('the root', async () => (await api.call('GET', `/api/participation/events/${live.slug}`)).draw.root);
}

export async function draw(api, live) {
  await close(api, live);
  await api.call('POST', `/api/events/${live.id}/draws`, { external: 'ab'.repeat(32) });
}

/** Sends an entry, in either language. */
export const sendButton = (page) => page.getByRole('button', { name: /^(응모하기|Enter)$/ });

export async function fillIn(page, n) {
  await page.getByLabel('이름').fill(`손님${n}`);
  await page.getByLabel('휴대전화번호').fill(`010-2345-${String(n).padStart(4, '0')}`);
  await page.getByLabel(/필수/).check();
}

/** Has one picture drawn and chosen, by the API. */
export async function pictured(api, event) {
  const drawn = await api.call('POST', '/api/content/images', { eventId: event.id, styles: ['SIMPLE'], platforms: ['NAVER'] });
  const { images } = drawn.jobId ? await api.job(drawn.jobId) : drawn;
  await api.call('PUT', `/api/events/${event.id}/content`, { imageIds: [images[0].id] });
}

export async function enter(page, n) {
  await fillIn(page, n);
  await sendButton(page).click();
}

export async function another(page) {
  await page.getByRole('button', { name: '다른 사람 응모하기' }).click();
  await page.getByRole('dialog').getByRole('button', { name: '다른 사람 응모하기' }).click();
  await page.getByLabel('이름').waitFor();
}

/** Milliseconds. */
export const MINUTE = 60_000;
/** Moves the clock of every page of a context. */
export const moved = (context, by) =>
  context.addInitScript((ms) => {
    const Right = Date;
    globalThis.Date = class extends Right {
      constructor(...given) {
        super(...(given.length ? given : [Right.now() + ms]));
      }
      static now() {
        return Right.now() + ms;
      }
    };
  }, by);
