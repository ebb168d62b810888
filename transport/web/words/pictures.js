// The words of the console's page `pictures`.
import { words } from '../words.js';

export const t = words({
  title: ['마음에 드는 이미지를 고르세요', 'Choose the pictures you like'],
  hint: [
    '여러 장을 고를 수 있습니다. 고르지 않은 채널에는 첫 이미지를 크기에 맞춰 씁니다.',
    'You may take several. Other channels get the first, in their size.',
  ],
  drawing: ['그림을 그리고 있습니다. 다 되는 대로 보여 드립니다.', 'Drawing. Each picture appears when it is ready.'],
  fallback: [
    '그림 서비스가 응답하지 않아 기본 배경을 썼습니다.',
    'The picture service did not answer: a built-in background is used.',
  ],
  edit: ['글과 색 바꾸기', 'Edit text and colours'],
  editing: ['이미지 편집', 'Edit the picture'],
  headline: ['제목', 'Headline'],
  body: ['설명', 'Text'],
  palette: ['색', 'Colours'],
  done: ['다 했어요', 'Done'],
  saved: ['저장됨', 'Saved'],
  saving: ['저장하는 중', 'Saving'],
  back: ['이전', 'Back'],
  next: ['다음', 'Next'],
  none: ['이미지를 하나 이상 골라 주세요.', 'Choose at least one picture.'],
  most: ['이미지는 아홉 장까지 고를 수 있습니다.', 'At most nine pictures.'],
  chosen: ['{n}장 고름', '{n} chosen'],
  SUNSET: ['노을', 'Sunset'],
  FOREST: ['숲', 'Forest'],
  OCEAN: ['바다', 'Ocean'],
  BLOSSOM: ['벚꽃', 'Blossom'],
  HONEY: ['꿀', 'Honey'],
  MONO: ['흑백', 'Mono'],
  NEON: ['네온', 'Neon'],
  CREAM: ['크림', 'Cream'],
});
