// The words of the console's page `events`.
import { words } from '../words.js';

export const t = words({
  title: ['내 이벤트', 'My events'],
  start: ['새 이벤트 만들기', 'Make a new event'],
  what: [
    '무엇을 위해 하나요? 고르면 AI가 바로 세 가지 안을 만들어요.',
    'What is it for? Choose, and three proposals are made at once.',
  ],
  NEW_CUSTOMERS: ['우리 가게를 모르는 분들을 불러요', 'Bring in people who do not know the shop'],
  REVISIT: ['다녀가신 분들이 다시 오게 해요', 'Bring back those who have been here'],
  SALES: ['이번 달 매출을 끌어올려요', 'Raise the sales of this month'],
  AWARENESS: ['동네에 이름을 알려요', 'Let the neighbourhood know the name'],
  all: ['전체', 'All'],
  drafting: ['작성중', 'Drafts'],
  upcoming: ['예정', 'Upcoming'],
  running: ['진행중', 'Running'],
  ended: ['종료', 'Ended'],
  search: ['이벤트 이름으로 찾기', 'Search by title'],
  none: ['아직 이벤트가 없어요.', 'No events yet.'],
  noneText: ['위에서 목적을 하나 고르면 5분 안에 만들 수 있어요.', 'Choose an objective above: it takes five minutes.'],
  noMatch: ['여기에 맞는 이벤트가 없어요.', 'No event fits here.'],
  more: ['더 보기', 'More'],
  untitled: ['(이름 없는 초안)', '(untitled draft)'],
  until: ['{t}까지', 'until {t}'],
  from: ['{t}부터', 'from {t}'],
  made: ['{t}에 만듦', 'made {t}'],
  PENDING: [
    '사업자 확인을 기다리고 있어요. 그동안 모두 이용할 수 있고, 확인은 자동으로 진행돼요.',
    'Your business is being verified. You may do everything meanwhile; it goes on by itself.',
  ],
  REJECTED: [
    '사업자 확인이 되지 않아 진행중인 이벤트를 멈췄어요. 사업자등록증 사본을 보내 주세요.',
    'Your business could not be verified: live events are paused. Please send a copy of the certificate.',
  ],
});
