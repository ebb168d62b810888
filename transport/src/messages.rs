//! What an error says to a person: title and detail per code, Korean and English. One table.

/// Title and detail in Korean, then in English.
pub(crate) struct Words {
    pub(crate) ko: (&'static str, &'static str),
    pub(crate) en: (&'static str, &'static str),
}

type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// The words of a code. An unknown code gets plain ones: clients go by the code.
pub(crate) fn words(code: &str) -> Words {
    let plain =
        ("", "오류", "문제가 생겨 처리하지 못했어요. 잠시 뒤 다시 시도해 주세요.", "Error", "It could not be done.");
    let row = TABLE.iter().find(|row| row.0 == code).unwrap_or(&plain);
    Words { ko: (row.1, row.2), en: (row.3, row.4) }
}

/// Code, Korean title and detail, English title and detail.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("malformed-json", "잘못된 JSON", "본문이 올바른 JSON이 아니라서 읽지 못했어요. 괄호와 따옴표를 확인해 다시 보내 주세요.", "Malformed JSON", "The body is not valid JSON."),
    ("duplicate-key", "이름이 겹치는 JSON", "JSON 안에 같은 이름이 두 번 있어요. 하나만 남기고 다시 보내 주세요.", "Duplicate name in JSON", "An object names a member twice: send each name once."),
    ("host-invalid", "잘못된 Host", "요청에 Host 헤더가 정확히 하나 있어야 해요. 주소를 확인해 주세요.", "Invalid Host", "A request needs exactly one Host header: check the address."),
    ("uri-too-long", "너무 긴 주소", "주소가 8 KiB보다 길어요. 주소를 줄여 다시 시도해 주세요.", "Address too long", "The address is longer than 8 KiB: shorten it and try again."),
    ("unsupported-media-type", "지원하지 않는 형식", "본문의 형식을 몰라서 읽지 못했어요. Content-Type을 application/json으로 보내 주세요.", "Unsupported media type", "Content-Type must be application/json."),
    ("unknown-field", "알 수 없는 항목", "이 요청에 없는 항목이 들어 있어요. 그 항목을 빼고 다시 보내 주세요.", "Unknown field", "The request has a field that does not belong to it."),
    ("required", "필수 항목 누락", "꼭 필요한 항목이 빠졌어요. 채워서 다시 보내 주세요.", "Required", "A required field is missing."),
    ("invalid-type", "잘못된 형식", "항목의 형식이 맞지 않아요. 글자, 숫자, 날짜 가운데 무엇인지 확인해 주세요.", "Invalid type", "A field has the wrong type."),
    ("invalid-value", "잘못된 값", "고를 수 있는 값이 아니에요. 다른 값을 골라 주세요.", "Invalid value", "The value is not one of those allowed."),
    ("too-long", "너무 길어요", "글자나 항목이 허용보다 많아요. 줄여서 다시 보내 주세요.", "Too long", "The text or list is longer than allowed: shorten it and send it again."),
    ("too-many", "너무 많음", "개수가 허용보다 많아요. 몇 개를 빼고 다시 보내 주세요.", "Too many", "There are too many of them."),
    ("out-of-range", "범위를 벗어남", "값이 허용 범위를 벗어났어요. 범위 안의 값으로 바꿔 주세요.", "Out of range", "The value is out of range."),
    ("invalid-characters", "쓸 수 없는 문자", "글의 방향을 바꾸거나 보이지 않는 문자, 여러 번 겹친 부호는 쓸 수 없어요. 지우고 다시 입력해 주세요.", "Invalid characters", "Characters that turn a text or do not show, and piles of accents, are not allowed. Remove them and try again."),
    ("email-invalid", "잘못된 이메일", "이메일 주소의 모양이 아니에요. 오타가 없는지 확인해 주세요.", "Invalid e-mail", "Check the e-mail address."),
    ("phone-invalid", "잘못된 휴대전화번호", "휴대전화번호의 모양이 아니에요. 010으로 시작하는 11자리 번호를 입력해 주세요.", "Invalid phone", "Give a number of 010 and eight digits."),
    ("business-number-invalid", "잘못된 사업자등록번호", "있을 수 없는 사업자등록번호예요. 등록증에 적힌 10자리를 확인해 주세요.", "Invalid business number", "Check the ten digits of the business number."),
    ("business-mismatch", "사업자 정보 불일치", "번호, 개업일, 대표자명이 국세청 정보와 달라요. 사업자등록증을 보고 똑같이 입력해 주세요.", "Business does not match", "Number, opening day and name do not match the tax office's."),
    ("business-closed", "휴·폐업 사업자", "국세청에 휴업이나 폐업으로 등록된 사업자라서 가입할 수 없어요. 영업 중인 사업자등록번호를 입력해 주세요.", "Business is closed", "The business is suspended or closed."),
    ("business-taken", "이미 등록된 사업자", "이 사업자등록번호는 다른 계정이 쓰고 있어요. 그 계정으로 로그인하거나, 내 계정이 아니라면 운영자에게 알려 주세요.", "Business is registered already", "Another account has this business number. Log in with that account or, if it is not yours, tell the operator."),
    ("email-taken", "이미 쓰는 이메일", "이 이메일로 가입한 계정이 있어요. 그 계정으로 로그인해 주세요.", "E-mail is taken", "There is an account for this e-mail."),
    ("password-too-short", "짧은 비밀번호", "비밀번호가 8자보다 짧아서 쉽게 알아낼 수 있어요. 8자 이상으로 정해 주세요.", "Password too short", "A password needs at least 8 characters."),
    ("password-common", "쉬운 비밀번호", "많은 사람이 쓰거나 이메일과 같은 비밀번호라서 쉽게 알아낼 수 있어요. 낱말 두세 개를 이어 새로 정해 주세요.", "Common password", "Many people use this password, or it is your e-mail: it is guessed first. Choose a new one of two or three words."),
    ("stores-too-many", "매장이 너무 많음", "한 계정에 만들 수 있는 매장 수를 모두 썼어요. 쓰지 않는 매장을 삭제한 뒤 다시 추가해 주세요.", "Too many shops", "This account has as many shops as it may have. Remove one that is not used, then add this one."),
    ("drafts-too-many", "초안이 너무 많아요", "준비 중인 이벤트가 200개예요. 쓰지 않는 초안을 지운 뒤 다시 만들어 주세요.", "Too many drafts", "This account has 200 events that are not approved. Delete a draft that is not used, then make a new one."),
    ("password-too-long", "긴 비밀번호", "비밀번호가 71바이트를 넘어요. 한글은 23자까지 쓸 수 있으니 줄여 주세요.", "Password too long", "A password may have at most 71 bytes."),
    ("industry-invalid", "알 수 없는 업종", "목록에 없는 업종이에요. 업종 목록에서 골라 주세요.", "Unknown industry", "Choose one of the list of industries."),
    ("region-invalid", "잘못된 지역", "이 이름의 시군구를 찾지 못했어요. 시도와 시군구를 함께 적어 주세요. 예: 서울 강남구", "Invalid region", "There is no such 시군구. Give 시도 and 시군구 together, as 서울 강남구."),
    ("period-invalid", "잘못된 기간", "쓸 수 없는 기간이에요. 끝이 시작과 지금보다 뒤이고, 시작에서 366일 안에 오게 고쳐 주세요.", "Invalid period", "Check start and end: the end must be after the start and after now, and at most 366 days after the start."),
    ("option-unknown", "없는 제안", "이 이벤트에 나온 제안이 아니에요. 제안을 다시 불러와 그 가운데서 골라 주세요.", "Unknown option", "This option was not offered for this event."),
    ("image-unknown", "없는 이미지", "이 이벤트의 이미지가 아니에요. 이미지를 다시 불러와 그 가운데서 골라 주세요.", "Unknown picture", "This is not a picture of this event."),
    ("palette-invalid", "잘못된 색상", "읽을 수 없는 색이에요. 팔레트 이름이나 #rrggbb 색을 보내 주세요.", "Invalid palette", "Send the name of a palette or colours #rrggbb."),
    ("limit-invalid", "잘못된 개수", "한 번에 볼 수 있는 개수가 아니에요. limit을 1에서 100 사이로 보내 주세요.", "Invalid limit", "limit is 1 to 100."),
    ("cursor-invalid", "잘못된 커서", "읽을 수 없는 커서예요. 받은 nextCursor를 그대로 보내 주세요.", "Invalid cursor", "Send a nextCursor as it was received."),
    ("nothing-to-retry", "다시 시도할 것이 없음", "실패하거나 건너뛴 채널이 없어서 다시 시도할 것이 없어요. 게시 상태를 새로 읽어 주세요.", "Nothing to retry", "Only channels that failed or were skipped can be tried again."),
    ("idempotency-key-invalid", "잘못된 Idempotency-Key", "Idempotency-Key를 읽을 수 없어요. 1자에서 255자까지의 ASCII로 한 요청에 하나만 보내 주세요.", "Invalid Idempotency-Key", "Send one with a request, of 1 to 255 ASCII characters."),
    ("idempotency-key-reused", "다른 요청에 쓴 키", "이 Idempotency-Key는 내용이 다른 요청에 이미 썼어요. 새 키로 다시 보내 주세요.", "Idempotency-Key reused", "The same key came with another body."),
    ("unauthenticated", "로그인 필요", "로그인하지 않았거나 로그인이 끝났어요. 로그인한 뒤 다시 시도해 주세요.", "Unauthenticated", "Log in and try again."),
    ("login-failed", "로그인 실패", "이메일이나 비밀번호가 맞지 않아요. 확인하고 다시 입력해 주세요.", "Login failed", "E-mail or password is wrong."),
    ("login-throttled", "로그인 시도가 많음", "로그인에 여러 번 실패해 잠시 막았어요. 잠시 뒤 다시 시도해 주세요.", "Too many attempts", "Try again later."),
    ("not-found", "찾을 수 없음", "없어졌거나 볼 수 없는 것이에요. 주소를 확인하거나 목록에서 다시 열어 주세요.", "Not found", "There is nothing here."),
    ("page-not-found", "페이지를 찾을 수 없어요", "주소가 바뀌었거나 없어진 이벤트일 수 있어요. 받은 링크나 QR 코드를 다시 확인해 주세요.", "Page not found", "The address may have changed, or the event is gone. Check the link or the QR code again."),
    ("method-not-allowed", "허용되지 않는 메서드", "이 주소에서는 쓸 수 없는 메서드예요. Allow 헤더에 적힌 메서드로 보내 주세요.", "Method not allowed", "This address does not take this method."),
    ("not-acceptable", "받을 수 있는 압축 형식이 없어요", "Accept-Encoding이 모든 형식을 거절했어요. identity, gzip, br 가운데 하나를 허용해 주세요.", "No acceptable coding", "Accept-Encoding refuses every coding: accept identity, gzip or br."),
    ("wrong-state", "지금은 할 수 없음", "이벤트의 지금 상태에서는 할 수 없는 일이에요. 새로 고쳐 상태를 확인해 주세요.", "Wrong state", "This is not possible in the present state."),
    ("stale", "먼저 바뀜", "그사이 내용이 바뀌어서 저장하지 않았어요. 새로 읽은 뒤 다시 시도해 주세요.", "Stale", "It changed meanwhile: read it again and retry."),
    ("store-rejected", "사업자 확인 실패", "사업자 확인에 실패한 매장이라서 할 수 없어요. 확인 서류를 보내 주세요.", "Store rejected", "The business could not be verified. Please send documents."),
    ("store-has-open-events", "끝나지 않은 이벤트", "준비 중이거나 예정되거나 진행 중인 이벤트가 있어서 매장을 삭제하지 않았어요. 그 이벤트를 먼저 끝내 주세요.", "Open events", "The store has events that are being prepared, scheduled or running."),
    ("already-entered", "이미 응모함", "이 번호로 이미 응모하셨어요. 받은 응모 확인증에서 확인해 주세요.", "Already entered", "This phone has entered already."),
    ("event-paused", "잠시 멈춤", "이벤트가 잠시 멈춰서 지금은 응모할 수 없어요. 조금 뒤에 다시 와 주세요.", "Paused", "The event is paused."),
    ("event-ended", "종료됨", "이벤트가 끝나서 더는 응모할 수 없어요. 다음 이벤트를 기다려 주세요.", "Ended", "The event is over."),
    ("event-not-started", "시작 전", "이벤트가 아직 시작하지 않았어요. 시작 시각 뒤에 다시 와 주세요.", "Not started", "The event has not begun."),
    ("notice-changed", "안내문 변경", "개인정보 안내문이 바뀌어서 응모하지 않았어요. 다시 읽고 응모해 주세요.", "Notice changed", "The notice changed: read it again."),
    ("consent-required", "동의 필요", "개인정보 안내를 확인하지 않아서 응모하지 않았어요. 안내를 읽고 확인에 표시해 주세요.", "Consent required", "Acknowledge the privacy notice."),
    ("visit-code-invalid", "방문 코드가 맞지 않아요", "지금 매장에 표시된 코드와 달라요. 코드는 1분마다 바뀌어요. 표시된 6자리를 다시 입력하거나 QR을 다시 찍어 주세요.", "Invalid visit code", "It is not the code shown in the shop now: codes change every minute. Type the six digits again, or scan the QR code again."),
    ("erased-too-often", "오늘은 다시 응모할 수 없어요", "이 번호의 응모를 오늘 여러 번 지웠어요. 내일 다시 응모해 주세요.", "Erased too often today", "The entry of this phone was erased too often today. Please enter again tomorrow."),
    ("quota-exceeded", "하루 한도 초과", "오늘 쓸 수 있는 횟수를 모두 썼어요. 내일 다시 시도해 주세요.", "Quota exceeded", "Today's quota is used up."),
    ("picture-budget-spent", "오늘 이미지 편집 한도", "이미지의 글이나 색을 바꿔 저장하면 한 번으로 세요. 오늘은 300번을 모두 썼어요. 지금 이미지로 승인하거나, 내일 이어서 고쳐 주세요.", "Today's picture edits are used up", "Each saved change of a picture's text or colours counts once, and today's 300 are used up. Approve with the pictures as they are, or go on tomorrow."),
    ("rate-limited", "요청이 너무 많음", "짧은 사이에 요청이 너무 많았어요. 잠시 뒤 다시 시도해 주세요.", "Rate limited", "Too many requests: try again shortly."),
    ("too-large", "너무 큼", "본문이 허용보다 커서 받지 않았어요. 줄여서 다시 보내 주세요.", "Too large", "The body is too large."),
    ("overloaded", "붐빔", "지금 요청이 몰려 처리하지 못했어요. 곧 다시 시도해 주세요.", "Overloaded", "Too much at once; nothing was done. Try again shortly."),
    ("outcome-unknown", "결과를 알 수 없음", "답이 늦어 처리되었는지 알 수 없어요. 같은 Idempotency-Key로 다시 보내면 알 수 있어요.", "Outcome unknown", "It may have been done: repeat it with the same Idempotency-Key."),
    ("forbidden-origin", "허용되지 않는 출처", "다른 사이트의 페이지에서 보낸 요청이라 받지 않았어요. 이 서버의 주소로 열거나 MADANG_ALLOWED_ORIGINS에 더해 주세요.", "Forbidden origin", "A page of another site sent this. Open it at this server's address, or add its origin to MADANG_ALLOWED_ORIGINS."),
    ("job-over", "끝난 작업", "이미 끝난 작업이라서 멈출 수 없어요. 작업의 결과를 확인해 주세요.", "Job is over", "The job is over already."),
    ("upgrade-required", "WebSocket 전용", "WebSocket만 받는 주소예요. WebSocket으로 연결해 주세요.", "Upgrade required", "Connect with a WebSocket."),
];

#[cfg(test)]
mod tests {
    use super::{TABLE, words};
    use actors::pictures::MAX_COMPOSITIONS_PER_DAY;
    use actors::requests::MAX_DRAFTS;
    use domain::event::command::MAX_DAYS;

    #[test]
    fn the_longest_period_is_said_as_it_is() {
        let said = words("period-invalid");
        for detail in [said.ko.1, said.en.1] {
            assert!(detail.contains(&MAX_DAYS.to_string()), "{detail}");
        }
    }

    /// The kind "words that people see": one way of speaking, and what to do next.
    #[test]
    fn korean_words_speak_alike() {
        for (code, title, detail, ..) in TABLE {
            assert!(detail.ends_with("요.") || detail.contains("요. 예: "), "{code}: {detail}");
            assert!(detail.matches('.').count() >= 2, "{code}: what happened, and what to do: {detail}");
            assert!(!title.ends_with('.') && [title, detail].iter().all(|text| !text.contains(FORMAL)), "{code}");
        }
    }

    /// The formal ending, which this file does not have itself.
    const FORMAL: &str = "\u{b2c8}\u{b2e4}";

    /// Files whose formal words stay: the legal notice, the words that are part of every draw's file, what is said to
    /// models and on the telephone, and what other systems say.
    const FORMAL_FILES: [&str; 5] =
        ["domain/src/notice.rs", "draw/published.rs", "src/prompt.rs", "channel/ringo_biz.rs", "storage/src/error.rs"];

    /// The same of every sentence in the sources.
    #[test]
    fn no_source_speaks_formally() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut folders: Vec<_> =
            ["actors", "storage/src", "transport/src", "transport/web"].map(|name| root.join(name)).into();
        let (mut read, mut formal) = (0, Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    let other = ["tests", "target", "node_modules"].iter().any(|name| path.ends_with(name));
                    folders.extend((!other).then_some(path));
                } else if path.extension().is_some_and(|end| ["rs", "js", "html"].iter().any(|e| end == *e)) {
                    read += 1;
                    let stays = FORMAL_FILES.iter().any(|file| path.ends_with(file));
                    formal.extend((!stays && std::fs::read_to_string(&path).unwrap().contains(FORMAL)).then_some(path));
                }
            }
        }
        assert!(read > 100, "{read} files");
        assert!(formal.is_empty(), "{formal:?}");
    }

    /// Case H4.
    #[test]
    fn the_budget_of_compositions_is_said_as_it_is() {
        let said = words("picture-budget-spent");
        for detail in [said.ko.1, said.en.1] {
            assert!(detail.contains(&MAX_COMPOSITIONS_PER_DAY.to_string()), "{detail}");
        }
    }

    #[test]
    fn the_most_drafts_are_said_as_they_are() {
        let said = words("drafts-too-many");
        for detail in [said.ko.1, said.en.1] {
            assert!(detail.contains(&MAX_DRAFTS.to_string()), "{detail}");
        }
    }
}
