//! From SVG to JPEG, where the machine has a Hangul font, and from black and white squares to PNG.

use crate::fonts::Fonts;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use resvg::usvg::fontdb::{Database, Family, Query, Weight};
use resvg::{tiny_skia, usvg};
use std::sync::Arc;

/// JPEG quality: text edges stay clean.
const QUALITY: u8 = 88;
/// Largest width and height in pixels: no picture of ours is larger, and pixels take memory.
const MAX_SIDE: u32 = 4096;

/// A picture that cannot be rasterised.
#[derive(Debug, thiserror::Error)]
#[error("cannot rasterise: {0}")]
pub struct RasterError(String);

fn failed(e: impl std::fmt::Display) -> RasterError {
    RasterError(e.to_string())
}

impl Fonts {
    /// Draws an SVG of ours as JPEG of the same size, with a family that has ink for all of its Hangul where there is one.
    /// Takes tens of milliseconds: not for an async thread.
    ///
    /// # Errors
    /// The SVG is not one, or too large.
    pub fn jpeg(&self, svg: &str) -> Result<Vec<u8>, RasterError> {
        let tree = usvg::Tree::from_str(svg, &self.options(svg)).map_err(failed)?;
        let size = tree.size().to_int_size();
        if size.width() > MAX_SIDE || size.height() > MAX_SIDE {
            return Err(failed("larger than 4096 pixels"));
        }
        let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).ok_or_else(|| failed("no size"))?;
        pixels.fill(tiny_skia::Color::WHITE);
        resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
        let rgb: Vec<u8> = pixels.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        let mut out = Vec::new();
        JpegEncoder::new_with_quality(&mut out, QUALITY)
            .encode(&rgb, size.width(), size.height(), ExtendedColorType::Rgb8)
            .map_err(failed)?;
        Ok(out)
    }

    /// Nothing is ever read from a file or an SVG inside the SVG.
    fn options(&self, svg: &str) -> usvg::Options<'static> {
        let pictures: usvg::ImageHrefDataResolverFn<'static> = Box::new(|mime, data, _| match mime {
            "image/png" => Some(usvg::ImageKind::PNG(data)),
            "image/jpeg" | "image/jpg" => Some(usvg::ImageKind::JPEG(data)),
            _ => None,
        });
        let families = self.families_for(svg);
        // The order of families is ours, whatever the SVG names: it knows nothing of this machine.
        let select_font: usvg::FontSelectionFn<'static> =
            Box::new(move |font: &usvg::Font, database: &mut Arc<Database>| {
                let ours = families.iter().map(|family| Family::Name(family));
                let names: Vec<Family<'_>> = ours.chain([Family::SansSerif]).collect();
                database.query(&Query { families: &names, weight: Weight(font.weight()), ..Query::default() })
            });
        usvg::Options {
            fontdb: self.database.clone(),
            font_family: self.hangul().unwrap_or_default().to_owned(),
            font_resolver: usvg::FontResolver { select_font, ..usvg::FontResolver::default() },
            image_href_resolver: usvg::ImageHrefResolver {
                resolve_data: pictures,
                resolve_string: Box::new(|_, _| None),
            },
            ..usvg::Options::default()
        }
    }
}

/// Draws a square of black and white modules, such as a QR code, as PNG. A module has a whole number of pixels, the picture
/// at most `max_pixels` a side; `margin` white modules surround it.
///
/// # Errors
/// The picture would be too large.
pub fn modules_png(
    modules: u32,
    margin: u32,
    max_pixels: u32,
    is_dark: impl Fn(u32, u32) -> bool,
) -> Result<Vec<u8>, RasterError> {
    let across = modules + 2 * margin;
    let scale = (max_pixels / across.max(1)).max(1);
    let side = across * scale;
    if side > MAX_SIDE {
        return Err(failed("larger than 4096 pixels"));
    }
    let at = |pixel: u32| (pixel / scale).checked_sub(margin).filter(|module| *module < modules);
    let dark = |x, y| at(x).zip(at(y)).is_some_and(|(x, y)| is_dark(x, y));
    let pixels: Vec<u8> =
        (0..side).flat_map(|y| (0..side).map(move |x| (x, y))).map(|(x, y)| if dark(x, y) { 0 } else { 255 }).collect();
    let mut out = Vec::new();
    PngEncoder::new(&mut out).write_image(&pixels, side, side, ExtendedColorType::L8).map_err(failed)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::modules_png;

    #[test]
    fn modules_are_whole_pixels_within_a_white_margin() {
        let png = modules_png(3, 1, 12, |x, y| (x, y) == (1, 0)).unwrap();
        let read = image::load_from_memory(&png).unwrap().into_luma8();
        assert_eq!(read.dimensions(), (10, 10));
        for (x, y, pixel) in read.enumerate_pixels() {
            let dark = (4..6).contains(&x) && (2..4).contains(&y);
            assert_eq!(pixel.0[0], if dark { 0 } else { 255 }, "{x} {y}");
        }
    }
}
