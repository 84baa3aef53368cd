//! The files in an artifact that name the images of a release.
//!
//! - `imagedefinitions.json`: a list, `[{"name": "<container>", "imageUri": "<reference>"}]`, as builds write it;
//! - `imageDetail.json`: an object, `{"ImageURI": "<reference>", …}`, as CodePipeline's ECR source writes it.
//!
//! Both are UTF-8 of at most 100 KB (CodePipeline's limit for the first), with a byte order mark or without.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::image::{Digest, ImageReference};
use crate::limits::IMAGE_DEFINITIONS_BYTES;
use crate::mismatch::{Mismatch, quoted};
use crate::names::is_ecs_name;

/// The image of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerImage {
    /// The container's name, 1–255 characters.
    pub container: String,
    /// Its image.
    pub image: ImageReference,
}

/// The one image of an `imageDetail.json`, which does not say for which container it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDetail {
    /// The image, pinned to `ImageDigest` where the file has it.
    pub image: ImageReference,
}

/// What a file turned out to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFile {
    /// A list: images by container, at least one, each container once.
    Definitions(Vec<ContainerImage>),
    /// An object: one image.
    Detail(ImageDetail),
}

/// Why a file names no images. Reads as a fragment; whoever reports it says which file it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// Larger than CodePipeline allows.
    #[error("found {bytes} bytes, expected at most {IMAGE_DEFINITIONS_BYTES}")]
    TooLarge {
        /// Size of the file in bytes.
        bytes: usize,
    },
    /// Not UTF-8 text.
    #[error("found {found}, expected a JSON file in UTF-8")]
    NotUtf8 {
        /// What the bytes look like.
        found: &'static str,
    },
    /// Not JSON.
    #[error("found no JSON ({reason}), expected {expected}")]
    NotJson {
        /// The parser's reason with line and column.
        reason: String,
        /// The form of the file.
        expected: &'static str,
    },
    /// JSON of another form.
    #[error("found {found}, expected {expected}")]
    WrongForm {
        /// The type of the whole.
        found: &'static str,
        /// The form of the file.
        expected: &'static str,
    },
    /// Entries or fields that are wrong: all of them, in the order of the file.
    #[error("{}", lines(.0))]
    Entries(Vec<BadEntry>),
}

/// An entry or field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {mismatch}")]
pub struct BadEntry {
    /// Where: `entry 0, imageUri` (counted from 0), or the name of a field.
    pub place: String,
    /// What is wrong there.
    pub mismatch: Mismatch,
}

const DEFINITIONS: &str = r#"a list such as [{"name": "app", "imageUri": "host/repository:tag"}]"#;
const DETAIL: &str = r#"an object such as {"ImageURI": "host/repository:tag"}"#;
const EITHER: &str =
    r#"a list such as [{"name": "app", "imageUri": "host/repository:tag"}] or an object with ImageURI"#;

/// Reads an `imagedefinitions.json`. Fields besides `name` and `imageUri` are tolerated, as the built-in ECS action does.
///
/// # Errors
///
/// What is wrong with the file: see [`ArtifactError`]. An empty list and a container that is named twice are errors.
pub fn parse_image_definitions(bytes: &[u8]) -> Result<Vec<ContainerImage>, ArtifactError> {
    match parse_json(bytes, DEFINITIONS)? {
        Value::Array(entries) => definitions(&entries),
        other => Err(ArtifactError::WrongForm { found: type_of(&other), expected: DEFINITIONS }),
    }
}

/// Reads an `imageDetail.json`. Only `ImageURI` has to be there; of the other fields `ImageDigest` counts, which pins the
/// image if the reference does not.
///
/// # Errors
///
/// What is wrong with the file: see [`ArtifactError`]. Two digests that disagree are an error.
pub fn parse_image_detail(bytes: &[u8]) -> Result<ImageDetail, ArtifactError> {
    match parse_json(bytes, DETAIL)? {
        Value::Object(fields) => detail(&fields),
        other => Err(ArtifactError::WrongForm { found: type_of(&other), expected: DETAIL }),
    }
}

/// Reads either file by its form, for files whose name says nothing.
///
/// # Errors
///
/// As [`parse_image_definitions`] for a list, as [`parse_image_detail`] for an object.
pub fn parse_image_file(bytes: &[u8]) -> Result<ImageFile, ArtifactError> {
    match parse_json(bytes, EITHER)? {
        Value::Array(entries) => definitions(&entries).map(ImageFile::Definitions),
        Value::Object(fields) => detail(&fields).map(ImageFile::Detail),
        other => Err(ArtifactError::WrongForm { found: type_of(&other), expected: EITHER }),
    }
}

fn parse_json(bytes: &[u8], expected: &'static str) -> Result<Value, ArtifactError> {
    if bytes.len() > IMAGE_DEFINITIONS_BYTES {
        return Err(ArtifactError::TooLarge { bytes: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| {
        // PowerShell's `>` writes UTF-16, the usual way to get here.
        let utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        ArtifactError::NotUtf8 { found: if utf16 { "UTF-16" } else { "bytes that are not text" } }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text).map_err(|error| ArtifactError::NotJson { reason: error.to_string(), expected })
}

fn definitions(entries: &[Value]) -> Result<Vec<ContainerImage>, ArtifactError> {
    if entries.is_empty() {
        return Err(ArtifactError::WrongForm { found: "an empty list", expected: DEFINITIONS });
    }
    let mut images: Vec<ContainerImage> = Vec::new();
    let mut bad = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let Value::Object(fields) = entry else {
            let mismatch = Mismatch::new(type_of(entry), "an object with name and imageUri");
            bad.push(BadEntry { place: format!("entry {index}"), mismatch });
            continue;
        };
        let container = container(fields, &images);
        let image = image(fields, "imageUri");
        match (container, image) {
            (Ok(container), Ok(image)) => images.push(ContainerImage { container, image }),
            (container, image) => bad.extend(
                [("name", container.err()), ("imageUri", image.err())].into_iter().filter_map(|(field, mismatch)| {
                    Some(BadEntry { place: format!("entry {index}, {field}"), mismatch: mismatch? })
                }),
            ),
        }
    }
    if bad.is_empty() { Ok(images) } else { Err(ArtifactError::Entries(bad)) }
}

fn container(fields: &Map<String, Value>, earlier: &[ContainerImage]) -> Result<String, Mismatch> {
    let expected = "the name of a container, 1 to 255 letters, digits, _ or -";
    let name = text(fields, "name", expected)?;
    if !is_ecs_name(name) {
        return Err(Mismatch::value(name, expected));
    }
    if earlier.iter().any(|other| other.container == name) {
        return Err(Mismatch::new(format!("{} a second time", quoted(name)), "each container once"));
    }
    Ok(name.to_owned())
}

fn detail(fields: &Map<String, Value>) -> Result<ImageDetail, ArtifactError> {
    let at = |place: &str, mismatch| ArtifactError::Entries(vec![BadEntry { place: place.to_owned(), mismatch }]);
    let image = image(fields, "ImageURI").map_err(|mismatch| at("ImageURI", mismatch))?;
    if !fields.contains_key("ImageDigest") {
        return Ok(ImageDetail { image });
    }
    let digest = text(fields, "ImageDigest", "a digest as sha256: and 64 hexadecimal digits")
        .and_then(Digest::parse)
        .and_then(|digest| match image.digest() {
            Some(other) if *other != digest => {
                Err(Mismatch::new(digest.to_string(), format!("the digest in ImageURI, which is {other}")))
            }
            _ => Ok(digest),
        })
        .map_err(|mismatch| at("ImageDigest", mismatch))?;
    Ok(ImageDetail { image: image.with_digest(digest) })
}

fn image(fields: &Map<String, Value>, name: &str) -> Result<ImageReference, Mismatch> {
    text(fields, name, "an image as host/repository:tag or host/repository@sha256:…").and_then(ImageReference::parse)
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str, expected: &str) -> Result<&'a str, Mismatch> {
    match fields.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Mismatch::new(type_of(other), expected)),
        None => Err(Mismatch::new("nothing", expected)),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn lines(entries: &[BadEntry]) -> String {
    entries.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
