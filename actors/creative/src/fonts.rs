//! Fonts of this machine, and which of them draws a text. A font that maps a syllable to a glyph may have no ink for it, so
//! families are judged by the outlines of their glyphs.

use crate::compose::FAMILIES;
use resvg::usvg::fontdb::{Database, Family, ID, Query, Weight};
use skrifa::prelude::{FontRef, LocationRef, MetadataProvider, Size};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

/// The 11,172 syllables of today's Hangul.
const SYLLABLES: RangeInclusive<char> = '가'..='힣';
/// Weights that pictures are set in: small text and headline.
const WEIGHTS: [Weight; 2] = [Weight::NORMAL, Weight::BOLD];

/// Fonts of this machine, if there is a Hangul one.
#[derive(Clone)]
pub struct Fonts {
    pub(crate) database: Arc<Database>,
    /// Families with Hangul, the best one first.
    families: Arc<[String]>,
}

impl Fonts {
    /// Fonts of a folder, or of the system without one.
    #[must_use]
    pub fn load(folder: Option<&Path>) -> Self {
        let mut database = Database::new();
        match folder {
            Some(folder) => database.load_fonts_dir(folder),
            None => database.load_system_fonts(),
        }
        let families = hangul_families(&database);
        if let Some(best) = families.first() {
            database.set_sans_serif_family(best.clone());
            database.set_serif_family(best.clone());
        }
        Self { database: Arc::new(database), families: families.into() }
    }

    /// No fonts at all: pictures stay SVG.
    #[must_use]
    pub fn none() -> Self {
        Self { database: Arc::new(Database::new()), families: Arc::from(Vec::<String>::new()) }
    }

    /// The Hangul family that most texts are drawn with.
    #[must_use]
    pub fn hangul(&self) -> Option<&str> {
        self.families.first().map(String::as_str)
    }

    /// Every family with Hangul, in the order they are tried.
    #[must_use]
    pub fn families(&self) -> &[String] {
        &self.families
    }

    /// Is there a font with emoji? Without one they are drawn as empty boxes.
    #[must_use]
    pub fn has_emoji(&self) -> bool {
        self.database.faces().any(|face| face.families.iter().any(|(name, _)| name.contains("Emoji")))
    }

    /// The first Hangul letter that would be a hole, where no single family draws the whole text.
    #[must_use]
    pub fn hole_in(&self, text: &str) -> Option<char> {
        let letters = hangul_of(text);
        match self.drawing(&letters) {
            Some(_) => None,
            None => blank_in(&self.database, self.families.first()?, letters.iter().copied()),
        }
    }

    /// Families in the order in which a text tries them: first of all one that draws all of its Hangul.
    pub(crate) fn families_for(&self, text: &str) -> Vec<String> {
        let mut families = self.families.to_vec();
        if let Some(at) = self.drawing(&hangul_of(text)) {
            families[..=at].rotate_right(1);
        }
        families
    }

    /// Place of the first family that draws all of these letters.
    fn drawing(&self, letters: &BTreeSet<char>) -> Option<usize> {
        let whole = |family: &String| blank_in(&self.database, family, letters.iter().copied()).is_none();
        self.families.iter().position(whole)
    }
}

/// Families that draw Hangul: one that draws every syllable, then the others as [`FAMILIES`] has them. Where none of these is
/// complete, every other family of the machine counts too, by name.
fn hangul_families(database: &Database) -> Vec<String> {
    let has_hangul = |family: &String| blank_in(database, family, std::iter::once('가')).is_none();
    let is_complete = |family: &String| blank_in(database, family, SYLLABLES).is_none();
    let listed = FAMILIES.split(", ").filter(|name| *name != "sans-serif").map(str::to_owned);
    let mut families: Vec<String> = listed.filter(has_hangul).collect();
    let mut best = families.iter().position(is_complete);
    if best.is_none() {
        let names: BTreeSet<String> =
            database.faces().filter_map(|face| face.families.first()).map(|(name, _)| name.clone()).collect();
        let others: Vec<String> =
            names.into_iter().filter(|name| !families.contains(name)).filter(has_hangul).collect();
        let at = families.len();
        families.extend(others);
        best = families[at..].iter().position(is_complete).map(|n| at + n);
    }
    if let Some(best) = best {
        families[..=best].rotate_right(1);
    }
    families
}

/// Returns the Hangul letters of a text, without the filler, which is invisible.
fn hangul_of(text: &str) -> BTreeSet<char> {
    text.chars().filter(|c| matches!(c, '가'..='힣' | 'ㄱ'..='\u{3163}' | '\u{3165}'..='\u{318e}')).collect()
}

/// The first of these characters that a family does not draw in one of our weights.
fn blank_in(database: &Database, family: &str, chars: impl Iterator<Item = char> + Clone) -> Option<char> {
    let families = [Family::Name(family)];
    WEIGHTS.iter().find_map(|weight| {
        let query = Query { families: &families, weight: *weight, ..Query::default() };
        match database.query(&query) {
            Some(face) => blank_in_face(database, face, chars.clone()),
            None => chars.clone().next(),
        }
    })
}

/// The first of these characters for which a face has no glyph, or one whose outline is empty.
fn blank_in_face(database: &Database, face: ID, mut chars: impl Iterator<Item = char>) -> Option<char> {
    let looked = database.with_face_data(face, |data, index| {
        let Ok(font) = FontRef::from_index(data, index) else { return chars.next() };
        let (charmap, metrics) = (font.charmap(), font.glyph_metrics(Size::unscaled(), LocationRef::default()));
        chars.find(|c| {
            let bounds = charmap.map(*c).and_then(|glyph| metrics.bounds(glyph));
            !bounds.is_some_and(|b| b.x_max > b.x_min && b.y_max > b.y_min)
        })
    });
    // A file that cannot be read draws nothing.
    looked.unwrap_or(Some(char::REPLACEMENT_CHARACTER))
}
