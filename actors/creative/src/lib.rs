#![doc = include_str!("../README.md")]

pub mod colour;
pub mod compose;
pub mod fonts;
pub mod layout;
pub mod raster;

pub use colour::Palette;
pub use compose::{Picture, PictureLook, compose};
pub use fonts::Fonts;
