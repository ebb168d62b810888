//! A problem as a person sees it who followed a link: what happened, one next thing to do, and the way home.

use super::Problem;
use crate::messages::words;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

impl Problem {
    /// The answer as a page, in Korean unless English is preferred.
    pub(crate) fn page(&self, english: bool, trace: &str) -> Response {
        let said = words(if self.status == StatusCode::NOT_FOUND { "page-not-found" } else { self.words });
        let ((title, detail), language, home, number) = match english {
            true => (said.en, "en", "Back to the first page", "Request number"),
            false => (said.ko, "ko", "처음 화면으로 가기", "문의할 때 알려 줄 번호"),
        };
        let (title, detail, trace) = (escaped(title), escaped(detail), escaped(trace));
        let page = format!(
            r#"<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} – Madang</title>
<link rel="icon" href="/web/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/web/style.css">
</head>
<body>
<main id="main">
<h1>{title}</h1>
<p>{detail}</p>
<p><a href="/">{home}</a></p>
<p class="quiet">{number}: {trace}</p>
</main>
</body>
</html>
"#
        );
        let mut response = Response::new(page.into());
        (*response.status_mut(), *response.headers_mut()) = (self.status, self.headers(english));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response
    }
}

/// A text that means nothing to a parser of HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 14: in both languages, with a way home, and nothing that a text could break.
    #[tokio::test]
    async fn a_problem_is_a_page() {
        for (problem, english, part) in [
            (Problem::not_found(), false, "<h1>페이지를 찾을 수 없어요</h1>"),
            (Problem::not_found(), true, "<html lang=\"en\">"),
            (Problem::overloaded("overloaded"), true, "<h1>Overloaded</h1>"),
        ] {
            let response = problem.page(english, "<trace>");
            assert_eq!(response.status(), problem.status);
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
            let text = std::str::from_utf8(&body).expect("text");
            assert!(text.contains(part) && text.contains("href=\"/\"") && text.contains("&lt;trace&gt;"), "{text}");
        }
    }
}
