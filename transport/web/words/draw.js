// The words of the console's page `draw`.
import { words } from '../words.js';

export const t = words({
  title: ['추첨', 'The draw'],
  back: ['이벤트로 돌아가기', 'Back to the event'],
  why: ['왜 공정한가요?', 'Why is it fair?'],
  wait: ['마감한 뒤에 추첨할 수 있어요.', 'It can be drawn after the close.'],
  late: [
    '제때 추첨하지 않아 개인정보를 모두 파기했어요. 더는 추첨할 수 없어요.',
    'It was not drawn in time: all personal data is destroyed, and nobody can be drawn any more.',
  ],
  m1: [
    '승인할 때 서버가 비밀 난수를 정하고, 그 해시를 공개했어요. 나중에 바꿀 수 없어요.',
    'At the approval the server chose a secret number and published its hash: it cannot be changed later.',
  ],
  m2: [
    '마감할 때 모든 응모 목록의 해시를 공개했어요. 응모를 넣거나 뺄 수 없어요.',
    'At the close the hash of all entries was published: none can be added or taken away.',
  ],
  m3: [
    '추첨할 때 사장님의 브라우저가 새 난수를 섞어요. 서버도 결과를 미리 알 수 없어요.',
    'With the draw your browser mixes in a new random number: not even the server knew the result before.',
  ],
  alternates: ['예비 당첨자 수', 'Alternates'],
  draw: ['지금 추첨하기', 'Draw now'],
  sure: ['추첨은 한 번만 할 수 있고, 결과는 바로 공개돼요.', 'It is drawn once, and the result is public at once.'],
  winners: ['당첨자', 'Winners'],
  none: ['응모한 분이 없어 당첨자도 없어요.', 'Nobody entered: there are no winners.'],
  second: ['예비 당첨자', 'Alternates'],
  nth: ['{n}번', 'No. {n}'],
  proof: ['증명', 'Proof'],
  check: ['이 브라우저에서 확인하기', 'Check it in this browser'],
  file: ['증명 파일', 'Proof file'],
  rest: [
    '당첨자까지 전부 다시 계산하려면: madang draw verify 파일',
    'To recompute the winners too: madang draw verify FILE',
  ],
  ok1: ['약속한 난수가 맞아요', 'The number is the one that was promised'],
  ok2: ['응모 {n}건의 목록이 마감 때와 같아요', 'The list of {n} entries is the one of the close'],
  bad: ['맞지 않아요', 'Does not match'],
  insecure: [
    '이 주소에서는 브라우저가 계산하지 못해요. https 주소에서 열거나 증명 파일을 확인해 주세요.',
    'The browser cannot compute it at this address: open it by https, or check the proof file.',
  ],
  says: [
    '이 증명은 마감 때 공개한 목록과 규칙, 미리 약속한 난수로 당첨자를 뽑았음을 보여 줘요. 사장님과 운영자가 함께 짰거나 같은 사람일 가능성과, 지어낸 전화번호는 증명하지 못해요.',
    'It shows that the winners follow from the list and rules published at the close and from a number promised before. It does not exclude that owner and operator acted together or are the same person, nor invented phone numbers.',
  ],
  saysAlone: [
    '이 추첨에는 사장님의 난수가 쓰이지 않아, 서버를 운영하는 쪽은 마감 때 결과를 미리 알 수 있었어요.',
    'No number of the owner’s went into this draw: the operator of the server could know the result at the close.',
  ],
  commitment: ['약속 (승인 때)', 'Promise (approval)'],
  root: ['응모 목록 (마감 때)', 'List (close)'],
  external: ['사장님의 난수', 'Your number'],
  seed: ['서버의 난수', 'The server’s number'],
  noExternal: ['없음: 서버의 난수만 썼어요', 'none: only the server’s number was used'],
});
