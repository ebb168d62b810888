// A merchant's whole journey, on a phone and on a desktop: made by hand from signup to the proof of the draw.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DESKTOP, PHONE, businessNumber, client, open, shared, shot, until } from './madang.mjs';

const all = shared();

const next = (page) => page.getByRole('button', { name: '다음' }).click();

async function signup(page, device) {
  await page.goto(all.server.base);
  await page.getByRole('link', { name: /가입하기/ }).click();
  await page.getByLabel('이메일').fill(`${crypto.randomUUID()}@test.example`);
  await page.getByLabel('비밀번호').fill('short');
  await page.getByLabel('대표자 이름').fill('김주인');
  await page.getByLabel('휴대전화번호').fill('010-2222-3333');
  await page.getByLabel('사업자등록번호').fill('123-45-67890');
  await page.getByLabel('개업일').fill('2020-01-02');
  await page.getByLabel('매장 이름').fill('골목빵집');
  await page.getByLabel('업종').selectOption('BAKERY');
  await page.getByLabel('지역').fill('서울 마포구');
  await page.getByRole('button', { name: '가입하기' }).click();
  // What is wrong is said where it is wrong.
  await page.locator('#f-password[aria-invalid]').waitFor();
  await page.locator('#f-businessNumber[aria-invalid]').waitFor();
  await shot(page, `${device}-signup-errors`);
  await page.getByLabel('비밀번호').fill('correct horse');
  await page.getByLabel('사업자등록번호').fill(businessNumber());
  await page.getByRole('button', { name: '가입하기' }).click();
  await page.getByText('아직 이벤트가 없어요').waitFor();
  await shot(page, `${device}-empty`);
}

async function make(page, device) {
  await page.getByRole('button', { name: /신규 고객 유치/ }).click();
  await page.locator('.option').first().waitFor();
  await page.getByRole('button', { name: '이 제안으로 하기' }).nth(2).waitFor();
  assert.equal(await page.locator('.option').count(), 3, 'one of each tier');
  await shot(page, `${device}-proposals`);
  await page.getByRole('button', { name: '이 제안으로 하기' }).nth(1).click();
  await page.getByLabel('이벤트 이름').fill('골목빵집 가을 잔치');
  await shot(page, `${device}-plan`);
  await next(page);
  await until('nine pictures', async () => (await page.locator('.tile').count()) === 9, 60_000);
  // A picture changes while one types.
  await page.getByRole('button', { name: '글과 색 바꾸기' }).first().click();
  const preview = page.locator('dialog img');
  const old = await preview.getAttribute('src');
  await page.getByLabel('제목').fill('갓 구운 빵 한 봉지');
  await until('a new picture', async () => (await preview.getAttribute('src')) !== old);
  const second = await preview.getAttribute('src');
  await page.getByLabel('벚꽃').check();
  await until('another', async () => (await preview.getAttribute('src')) !== second);
  await page.getByText('저장됨').waitFor();
  await until('it is loaded', () => preview.evaluate((i) => i.complete && i.naturalWidth > 0));
  await shot(page, `${device}-editor`);
  await page.getByRole('button', { name: '다 했어요' }).click();
  await page.locator('.tile').first().getByRole('checkbox').check();
  await page.locator('.tile').nth(4).getByRole('checkbox').check();
  await shot(page, `${device}-pictures`);
  await next(page);
  await page.getByText('SANDBOX').first().waitFor();
  await until('six preflights', async () => (await page.locator('.standing:not(:empty)').count()) === 6);
  await shot(page, `${device}-channels`);
  await next(page);
  await page.getByText('이대로 진행할까요?').waitFor();
  await shot(page, `${device}-approval`);
  await page.getByRole('button', { name: '승인하고 게시하기' }).click();
  await page.getByRole('dialog').getByRole('button', { name: '승인하고 게시하기' }).click();
  await page.getByRole('button', { name: '지금 마감하기' }).waitFor();
}

async function run(page, device) {
  const slug = (await page.getByRole('link', { name: /\/e\// }).getAttribute('href')).split('/').pop();
  await until('everything is published', async () => !(await page.locator('.channel').getByText(/^(대기|게시 중|다시 시도 중)$/).count()), 60_000);
  await page.locator('.qr img').waitFor();
  const api = client(all.server.base);
  const cards = page.locator('.cards .figure');
  for (let n = 0; n < 40; n++) await api.enter(slug, n);
  await until('forty entries, without asking', async () => (await cards.first().textContent()) === '40');
  await shot(page, `${device}-dashboard`);
  await page.locator('.chart summary').first().click();
  assert.equal(await page.locator('.chart table').first().locator('td').last().textContent(), '40', 'the table says what the chart shows');
  return { api, slug };
}

async function customer(device, slug) {
  const { context, page, trouble } = await open(all.chrome, device === 'phone' ? PHONE : DESKTOP);
  await page.goto(`${all.server.base}/e/${slug}?c=QR`);
  await page.getByText('지금까지 40명 응모').waitFor();
  await shot(page, `${device}-customer`);
  await page.getByLabel('이름').fill('박손님');
  await page.getByLabel('휴대전화번호').fill('02-123-4567');
  await page.getByRole('button', { name: '응모하기' }).click();
  await page.locator('#f-phone[aria-invalid]').waitFor();
  await page.getByLabel('휴대전화번호').fill('010-9999-0000');
  await page.getByLabel(/만 14세/).check();
  await page.getByRole('button', { name: '응모하기' }).click();
  await page.getByText('41번으로 응모됐어요').waitFor();
  await page.getByText('지금까지 41명 응모').waitFor();
  await shot(page, `${device}-receipt`);
  await page.reload();
  await page.getByText('41번으로 응모됐어요').waitFor();
  assert.deepEqual(trouble, []);
  return { context, page };
}

async function finish(page, device, guest) {
  await page.getByRole('link', { name: '응모자 보기' }).click();
  await page.getByText('010-****-0000').first().waitFor();
  assert.equal(await page.getByText('010-9999-0000').count(), 0, 'masked');
  await shot(page, `${device}-people`);
  await page.getByRole('link', { name: /이벤트로 돌아가기/ }).click();
  await page.getByRole('button', { name: '지금 마감하기' }).click();
  await page.getByRole('dialog').getByRole('button', { name: '그만두기' }).click();
  await page.getByRole('button', { name: '지금 마감하기' }).click();
  await page.getByRole('dialog').getByRole('button', { name: '지금 마감하기' }).click();
  await guest.page.getByText('추첨을 기다리고 있어요').waitFor();
  await page.getByRole('link', { name: '추첨하기' }).click();
  await shot(page, `${device}-before-draw`);
  await page.getByRole('button', { name: '지금 추첨하기' }).click();
  await page.getByRole('dialog').getByRole('button', { name: '지금 추첨하기' }).click();
  await page.getByRole('heading', { name: '당첨자' }).waitFor();
  await page.getByRole('button', { name: '이 브라우저에서 확인하기' }).click();
  await page.getByText('응모 41건의 목록이 마감 때와 같아요').waitFor();
  assert.equal(await page.locator('.good', { hasText: '✓' }).count(), 2, 'seed and list hold');
  await shot(page, `${device}-draw`);
  // The customer's page learned it by itself.
  await guest.page.getByRole('heading', { name: '당첨자' }).waitFor();
  await shot(guest.page, `${device}-customer-drawn`);
}

for (const [device, options] of [['phone', PHONE], ['desktop', DESKTOP]]) {
  test(`the whole journey on a ${device}`, async () => {
    const { context, page, trouble } = await open(all.chrome, options);
    await signup(page, device);
    const began = Date.now();
    await make(page, device);
    assert.ok(Date.now() - began < 300_000, 'an event in five minutes');
    const { slug } = await run(page, device);
    const guest = await customer(device, slug);
    await finish(page, device, guest);
    await page.getByRole('button', { name: 'English' }).click();
    await page.getByText('Why is it fair?').waitFor();
    await shot(page, `${device}-english`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.deepEqual(trouble, []);
    await Promise.all([context.close(), guest.context.close()]);
  });
}
