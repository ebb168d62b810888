// The words of the console's page `visiting`.
import { words } from '../words.js';

export const t = words({
  code: ['매장 방문 코드', 'Code for visitors'],
  note: ['매장 안에서 손님께 보여 주세요. 1분마다 바뀌어요.', 'Show it in the shop. It changes every minute.'],
  qr: ['매장 방문 QR 코드: {c}', 'QR code for visitors: {c}'],
  scan: [
    'QR 코드를 찍으면 방문 코드가 저절로 들어가요. 숫자를 적어도 돼요.',
    'The QR code fills in the code by itself. Typing the digits works too.',
  ],
  paper: ['오늘 하루 쓰는 종이 QR', 'A QR code on paper, for a day'],
  until: [
    '{t}까지 쓸 수 있어요. 뽑아서 매장 안에만 붙여 주세요.',
    'It works until {t}. Print it, and put it up inside the shop only.',
  ],
  save: ['종이 QR 저장 (PNG)', 'Save it (PNG)'],
  void: ['종이 QR 못 쓰게 하기', 'Void the paper'],
  voidSure: [
    '이미 붙여 둔 종이 QR은 더 쓸 수 없어요. 떼어 내고 새로 만들어 붙여 주세요.',
    'Papers that are up in the shop stop working. Take them down, and put up a new one.',
  ],
  voided: ['종이 QR을 못 쓰게 했어요.', 'The paper is void.'],
});
