//! A picture as PNG: its SVG, rasterised. There is no second drawing path.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Pixels for one unit of the SVG: sharp on dense screens, and in print at the size of a page.
const SCALE: f32 = 2.0;

/// The only fonts a PNG is drawn with, so that it is the same on every machine; origin and licences are beside them.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    for font in [
        include_bytes!("../fonts/Inter-Regular.ttf").as_slice(),
        include_bytes!("../fonts/Inter-SemiBold.ttf"),
        include_bytes!("../fonts/DejaVuSansMono.ttf"),
    ] {
        fonts.load_font_data(font.to_vec());
    }
    Arc::new(fonts)
});

/// Why a picture could not be rasterised.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// The rasteriser refused the SVG: a defect of finrace.
    #[error(
        "the picture could not be rasterised; its SVG is not affected: write that instead, and please report this"
    )]
    Svg(#[source] resvg::usvg::Error),
    /// So many segments that the picture has no size a rasteriser accepts.
    #[error("a picture of {width} × {height} pixels is too large for PNG: write SVG instead")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The compressor failed.
    #[error("the picture could not be compressed as PNG: write SVG instead")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Rasterises an SVG of [`super::svg()`] (drawn light) or [`super::themed_svg`] at twice its size.
///
/// # Errors
/// See [`PngError`]; with an ordinary trace none of them occurs.
pub fn png(svg: &str) -> Result<Vec<u8>, PngError> {
    /// 16 384 pixels a side and 64 million pixels are what common viewers still open.
    const LARGEST: (u32, u64) = (16_384, 64_000_000);
    let tree = tree(svg)?;
    let size = tree.size().to_int_size().scale_by(SCALE);
    let (width, height) = size.map_or((u32::MAX, u32::MAX), |size| (size.width(), size.height()));
    let pixels = u64::from(width) * u64::from(height);
    let pixmap = if height <= LARGEST.0 && pixels <= LARGEST.1 { Pixmap::new(width, height) } else { None };
    let mut pixmap = pixmap.ok_or(PngError::TooLarge { width, height })?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| PngError::Encode(Box::new(error)))
}

/// The picture as the rasteriser understands it.
pub(super) fn tree(svg: &str) -> Result<Tree, PngError> {
    let options =
        Options { fontdb: Arc::clone(&FONTS), font_family: "Inter".to_owned(), ..Options::default() };
    Tree::from_str(svg, &options).map_err(PngError::Svg)
}
