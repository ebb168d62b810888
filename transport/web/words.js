// Words in two languages: Korean first, English by switch. Each module keeps its own beside where they are used.
import { carry, device } from './store.js';

/** @typedef {'ko'|'en'} Language */

/** @type {Language} */
export const language = device.read('madang-language') === 'en' ? 'en' : 'ko';
document.documentElement.lang = language;

/** Changes the language, for good: the page starts anew, and knows what this one knew. @param {Language} to */
export function speak(to) {
  device.write('madang-language', to);
  carry(true);
  location.reload();
}

/**
 * A function that says a word: t('sent', { n: 3 }) fills `{n}`.
 * @template {Record<string, [string, string]>} D
 * @param {D} dictionary Korean and English
 * @returns {(key: keyof D & string, values?: Record<string, string|number>) => string}
 */
export const words =
  (dictionary) =>
  (key, values = {}) => {
    const text = (dictionary[key] ?? [key, key])[language === 'ko' ? 0 : 1];
    return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
  };

/** The field of an answer in the present language. @param {any} object @param {string} field */
export const said = (object, field = 'message') => object?.[field + (language === 'ko' ? 'Ko' : 'En')] ?? '';

const locale = language === 'ko' ? 'ko-KR' : 'en-GB';
const zone = 'Asia/Seoul';

/** @param {number|null|undefined} n */
export const number = (n) => (n == null ? '–' : Number(n).toLocaleString(locale));
/** @param {number|null|undefined} n */
export const won = (n) => (n == null ? '–' : language === 'ko' ? `${number(n)}원` : `₩${number(n)}`);
/** A share of 1 as per cent. @param {number|null|undefined} share */
export const percent = (share, digits = 1) => (share == null ? '–' : `${(share * 100).toFixed(digits)}%`);
/** @param {string|null|undefined} time */
export const when = (time) =>
  time
    ? new Date(time).toLocaleString(locale, {
        month: 'short',
        day: 'numeric',
        weekday: 'short',
        hour: '2-digit',
        minute: '2-digit',
        timeZone: zone,
      })
    : '–';
/** @param {string|null|undefined} time */
export const hour = (time) =>
  time ? new Date(time).toLocaleString(locale, { hour: '2-digit', minute: '2-digit', timeZone: zone }) : '–';

/** Korean time as the value of a `datetime-local` field. @param {string|null} time */
export const toField = (time) => (time ? new Date(Date.parse(time) + 9 * 3600_000).toISOString().slice(0, 16) : '');
/** The value of a `datetime-local` field, in Korean time. @param {string} value */
export const fromField = (value) => `${value}:00+09:00`;

const t = words({
  WOORI_TV: ['우리동네TV', 'Woori TV'],
  RINGO_BIZ: ['링고비즈', 'Ringo Biz'],
  GENIE_TV: ['지니TV', 'Genie TV'],
  INSTAGRAM: ['인스타그램', 'Instagram'],
  NAVER: ['네이버', 'Naver'],
  KAKAO: ['카카오', 'Kakao'],
  QR: ['QR 코드', 'QR code'],
  DIRECT: ['링크', 'Link'],
  NEW_CUSTOMERS: ['신규 고객 유치', 'Win new customers'],
  REVISIT: ['재방문 유도', 'Bring customers back'],
  SALES: ['매출 증대', 'Raise sales'],
  AWARENESS: ['인지도 향상', 'Become known'],
  draft: ['작성중', 'Draft'],
  planned: ['작성중', 'Draft'],
  ready: ['작성중', 'Draft'],
  scheduled: ['예정', 'Upcoming'],
  live: ['진행중', 'Live'],
  paused: ['잠시 멈춤', 'Paused'],
  closed: ['마감', 'Closed'],
  drawn: ['추첨 완료', 'Drawn'],
  settled: ['정산 완료', 'Settled'],
  cancelled: ['취소됨', 'Cancelled'],
  purged: ['개인정보 파기됨', 'Data destroyed'],
  LOW: ['저비용', 'Low cost'],
  MEDIUM: ['중비용', 'Medium cost'],
  HIGH: ['고비용', 'High cost'],
  SIMPLE: ['심플', 'Simple'],
  VIVID: ['화려한', 'Vivid'],
  TRENDY: ['트렌디', 'Trendy'],
});
/** The codes of the channels. */
export const CHANNELS = /** @type {const} */ (['WOORI_TV', 'RINGO_BIZ', 'GENIE_TV', 'INSTAGRAM', 'NAVER', 'KAKAO']);

/** The word for a code of the API: a channel, objective, status, tier or style. @param {string} code */
export const name = (code) => t(/** @type {any} */ (code));
