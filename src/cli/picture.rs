//! Pictures as files: the ending of the name chooses the form.

use std::path::Path;

use anyhow::bail;

use crate::render;

/// Colours of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Theme {
    Auto,
    Light,
    Dark,
}

impl From<Theme> for render::Theme {
    fn from(theme: Theme) -> render::Theme {
        match theme {
            Theme::Auto => render::Theme::Auto,
            Theme::Light => render::Theme::Light,
            Theme::Dark => render::Theme::Dark,
        }
    }
}

/// A picture in the form that the ending of a file's name chooses.
///
/// # Errors
/// The ending is neither of a picture, or the picture is too large for PNG.
pub fn form(path: &Path, svg: String) -> anyhow::Result<Vec<u8>> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Ok(svg.into_bytes()),
        Some("png") => Ok(render::ladder::png(&svg)?),
        _ => bail!("{} must end in .svg or .png: the ending chooses the form", path.display()),
    }
}

/// What a drawing library refused.
pub fn refused(error: &dyn std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("the picture could not be drawn: {error}")
}
