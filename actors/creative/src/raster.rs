//! From SVG to JPEG, where the machine has a Hangul font.

use crate::compose::FAMILIES;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use resvg::usvg::fontdb::{Database, Family, Query, Weight};
use resvg::{tiny_skia, usvg};
use std::path::Path;
use std::sync::Arc;

/// JPEG quality: text edges stay clean.
const QUALITY: u8 = 88;

/// Fonts of this machine, if there is a Hangul one.
#[derive(Clone)]
pub struct Fonts {
    database: Arc<Database>,
    family: Option<String>,
}

/// A picture that cannot be rasterised.
#[derive(Debug, thiserror::Error)]
#[error("cannot rasterise: {0}")]
pub struct RasterError(String);

impl Fonts {
    /// Fonts of a folder, or of the system without one.
    #[must_use]
    pub fn load(folder: Option<&Path>) -> Self {
        let mut database = Database::new();
        match folder {
            Some(folder) => database.load_fonts_dir(folder),
            None => database.load_system_fonts(),
        }
        let family = FAMILIES
            .split(", ")
            .filter(|name| *name != "sans-serif")
            .find(|name| {
                database
                    .query(&Query { families: &[Family::Name(name)], weight: Weight::NORMAL, ..Query::default() })
                    .is_some()
            })
            .map(str::to_owned);
        if let Some(family) = &family {
            database.set_sans_serif_family(family.clone());
            database.set_serif_family(family.clone());
        }
        Self { database: Arc::new(database), family }
    }

    /// No fonts at all: pictures stay SVG.
    #[must_use]
    pub fn none() -> Self {
        Self { database: Arc::new(Database::new()), family: None }
    }

    /// The Hangul family that was found.
    #[must_use]
    pub fn hangul(&self) -> Option<&str> {
        self.family.as_deref()
    }

    /// Is there a font with emoji? Without one they are drawn as empty boxes.
    #[must_use]
    pub fn has_emoji(&self) -> bool {
        self.database.faces().any(|face| face.families.iter().any(|(name, _)| name.contains("Emoji")))
    }

    /// Draws an SVG of ours as JPEG of the same size. Takes tens of milliseconds: not for an async thread.
    ///
    /// # Errors
    /// The SVG is not one, or too large.
    pub fn jpeg(&self, svg: &str) -> Result<Vec<u8>, RasterError> {
        let failed = |e: &dyn std::fmt::Display| RasterError(e.to_string());
        let tree = usvg::Tree::from_str(svg, &self.options()).map_err(|e| failed(&e))?;
        let size = tree.size().to_int_size();
        if size.width() > 4096 || size.height() > 4096 {
            return Err(failed(&"larger than 4096 pixels"));
        }
        let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).ok_or_else(|| failed(&"no size"))?;
        pixels.fill(tiny_skia::Color::WHITE);
        resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
        let rgb: Vec<u8> = pixels.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        let mut out = Vec::new();
        JpegEncoder::new_with_quality(&mut out, QUALITY)
            .encode(&rgb, size.width(), size.height(), ExtendedColorType::Rgb8)
            .map_err(|e| failed(&e))?;
        Ok(out)
    }

    /// Nothing is ever read from a file or an SVG inside the SVG.
    fn options(&self) -> usvg::Options<'static> {
        let pictures: usvg::ImageHrefDataResolverFn<'static> = Box::new(|mime, data, _| match mime {
            "image/png" => Some(usvg::ImageKind::PNG(data)),
            "image/jpeg" | "image/jpg" => Some(usvg::ImageKind::JPEG(data)),
            _ => None,
        });
        usvg::Options {
            fontdb: self.database.clone(),
            font_family: self.family.clone().unwrap_or_default(),
            image_href_resolver: usvg::ImageHrefResolver {
                resolve_data: pictures,
                resolve_string: Box::new(|_, _| None),
            },
            ..usvg::Options::default()
        }
    }
}
