//! Words of a picture: those that the owner wrote stay, the others follow the plan. Pure.

use super::Composition;
use domain::event::Event;
use domain::shop::Shop;
use domain::time::last_day_ko;
use storage::images::Image;

/// Characters of the small text, at most.
pub const MAX_BODY: usize = 120;

/// Words of a plan, for pictures where the owner wrote none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlanWords {
    pub(crate) headline: String,
    pub(crate) body: String,
}

impl PlanWords {
    /// The big text is the title; the small one the shop, the first prize, and until when.
    pub(crate) fn of(event: &Event, shop: &Shop) -> Self {
        let until = event.ends_at.map(|end| format!("{}까지", last_day_ko(end)));
        let prize = event.prizes.first().map(|p| p.name.clone());
        let parts: Vec<String> = [Some(shop.name.clone()), prize, until].into_iter().flatten().collect();
        Self {
            headline: event.title.clone().unwrap_or_else(|| shop.name.clone()),
            body: parts.join(" · ").chars().take(MAX_BODY).collect(),
        }
    }

    /// The next version of a picture that says something else than the plan.
    pub(super) fn following(&self, image: &Image) -> Option<Composition> {
        let headline = if image.own_headline { &image.headline } else { &self.headline };
        let body = if image.own_body { &image.body } else { &self.body };
        let same = (headline, body) == (&image.headline, &image.body);
        (!same).then(|| Composition {
            headline: headline.clone(),
            body: body.clone(),
            ..Composition::after(image.clone())
        })
    }
}

/// Changes that an owner makes in a picture. A text that is left out, or sent as it is shown, is not touched.
#[derive(Clone, Debug, Default)]
pub struct ImageEdit {
    /// Big text.
    pub headline: Option<String>,
    /// Small text.
    pub body: Option<String>,
    /// Palette.
    pub palette: Option<String>,
}

impl ImageEdit {
    /// The next version of a picture, with the last words of the plan where the owner wrote none. `None`: it is the same.
    pub(super) fn of(self, image: &Image, plan: Option<&PlanWords>) -> Option<Composition> {
        let (headline, own_headline) =
            words(self.headline, &image.headline, image.own_headline, plan.map(|p| p.headline.as_str()));
        let (body, own_body) = words(self.body, &image.body, image.own_body, plan.map(|p| p.body.as_str()));
        let palette = self.palette.unwrap_or_else(|| image.palette.clone());
        let same = (&headline, &body, &palette) == (&image.headline, &image.body, &image.palette);
        (!same).then(|| Composition {
            headline,
            body,
            palette,
            own_headline,
            own_body,
            ..Composition::after(image.clone())
        })
    }
}

/// Returns one text after an edit, and whether the owner wrote it. A text equal to the shown one does not become the owner's.
fn words(given: Option<String>, shown: &str, own: bool, plan: Option<&str>) -> (String, bool) {
    match given.filter(|given| given != shown) {
        Some(given) => (given, true),
        None if own => (shown.to_owned(), true),
        None => (plan.unwrap_or(shown).to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::channel::{Platform, Style};
    use domain::ids::{EventId, ImageId};

    fn image(headline: &str, own_headline: bool) -> Image {
        Image {
            id: ImageId::new(),
            version: 3,
            event: EventId::new(),
            style: Style::Simple,
            platform: Platform::Kakao,
            name: "a.jpg".into(),
            width: 800,
            height: 400,
            headline: headline.into(),
            body: "가게".into(),
            palette: "MONO".into(),
            alt_text: String::new(),
            background: None,
            own_headline,
            own_body: false,
        }
    }

    fn plan() -> PlanWords {
        PlanWords { headline: "새 제목".into(), body: "가게".into() }
    }

    /// Case H4: only what says something else is painted, once, as its next version.
    #[test]
    fn pictures_follow_the_plan_where_nobody_wrote() {
        let next = plan().following(&image("옛 제목", false)).unwrap();
        assert_eq!((next.headline.as_str(), next.version, next.own_headline), ("새 제목", 4, false));
        assert!(plan().following(&image("새 제목", false)).is_none());
        assert!(plan().following(&image("손으로 쓴 제목", true)).is_none());
    }

    /// Case H4: an edit of a picture that is behind shows the last title, and does not make the old one the owner's.
    #[test]
    fn an_edit_follows_the_plan_where_it_does_not_write() {
        let edit = |headline: Option<&str>, palette: Option<&str>| ImageEdit {
            headline: headline.map(str::to_owned),
            body: None,
            palette: palette.map(str::to_owned),
        };
        let after = |edit: ImageEdit, image: &Image| {
            edit.of(image, Some(&plan())).map(|next| (next.headline, next.palette, next.own_headline))
        };
        let behind = image("옛 제목", false);
        for same in [None, Some("옛 제목")] {
            let painted = after(edit(same, Some("NEON")), &behind);
            assert_eq!(painted, Some(("새 제목".into(), "NEON".into(), false)), "{same:?}");
        }
        let written = after(edit(Some("내 제목"), None), &behind);
        assert_eq!(written, Some(("내 제목".into(), "MONO".into(), true)));
        let own = image("내 제목", true);
        assert_eq!(after(edit(Some("내 제목"), None), &own), None);
        assert_eq!(after(edit(None, Some("NEON")), &own), Some(("내 제목".into(), "NEON".into(), true)));
        let edited = edit(None, None).of(&behind, None);
        assert!(edited.is_none(), "after the approval nothing follows the plan");
    }
}
