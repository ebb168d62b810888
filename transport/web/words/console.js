// The words of the console's frame.
import { words } from '../words.js';

export const t = words({
  title: ['마당 – 사장님 화면', 'Madang – for shop owners'],
  skip: ['본문으로 건너뛰기', 'Skip to content'],
  events: ['내 이벤트', 'My events'],
  shop: ['내 매장', 'My shop'],
  notices: ['알림', 'Notices'],
  unread: ['읽지 않은 알림 {n}개', '{n} unread notices'],
  out: ['로그아웃', 'Sign out'],
  other: ['English', '한국어'],
  connecting: ['연결하는 중', 'Connecting'],
  open: ['실시간', 'Live'],
  waiting: ['다시 연결하는 중', 'Reconnecting'],
  closed: ['연결 끊김', 'Disconnected'],
  sandbox: [
    '연습 모드예요(SANDBOX). 실제로 게시되거나 비용이 나가지 않아요.',
    'SANDBOX: nothing is really published and nothing costs.',
  ],
  offline: [
    '서버에 닿지 않아요. 마지막 화면을 보고 있을 수 있어요.',
    'The server cannot be reached: what you see may be old.',
  ],
});
