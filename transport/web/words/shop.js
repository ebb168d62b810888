// The words of the console's page `shop`.
import { words } from '../words.js';

export const t = words({
  title: ['내 매장', 'My shop'],
  name: ['매장 이름', 'Name'],
  industry: ['업종', 'Industry'],
  region: ['지역', 'Region'],
  address: ['주소', 'Address'],
  save: ['저장', 'Save'],
  saved: ['저장했어요', 'Saved'],
  VERIFIED: ['사업자 확인 완료', 'Business verified'],
  PENDING: ['사업자 확인 중', 'Being verified'],
  REJECTED: ['사업자 확인 실패', 'Verification failed'],
  owner: ['사장님', 'Owner'],
  email: ['이메일', 'E-mail'],
  phone: ['휴대전화번호', 'Mobile phone'],
  business: ['사업자등록번호', 'Business number'],
  everywhere: ['모든 기기에서 로그아웃', 'Sign out everywhere'],
  sure: ['다른 휴대폰과 컴퓨터에서도 로그아웃돼요.', 'Other phones and computers are signed out too.'],
});
