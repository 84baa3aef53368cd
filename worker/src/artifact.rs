//! From an artifact's bytes to the images it names.

use std::io::{Cursor, Read};

use crate::deploy::message::printable;
use coalmine_pipeline::artifact::{parse_image_definitions, parse_image_detail, parse_image_file};
use coalmine_pipeline::limits::{IMAGE_DEFINITIONS_BYTES, cut};
use coalmine_pipeline::{ArtifactError, ContainerImage, ImageFile};
use zip::ZipArchive;
use zip::result::ZipError;

/// The files that are looked for, in this order, where the option `file` names none.
const FILES: [&str; 2] = ["imagedefinitions.json", "imageDetail.json"];

/// How many names of an artifact's files a message shows.
const NAMES_SHOWN: usize = 10;

/// How much of each of them: a zip's names may have 64 KiB.
const NAME_CHARS_SHOWN: usize = 100;

/// Why an artifact names no images.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// It is neither a zip nor JSON.
    #[error("the artifact is neither a zip nor JSON: {0}")]
    NotAZip(ZipError),
    /// The file is not in it.
    #[error("the artifact holds no {wanted}; it holds: {found}")]
    NoSuchFile {
        /// What was looked for.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// The file is larger than CodePipeline allows.
    #[error("{file} is larger than {IMAGE_DEFINITIONS_BYTES} bytes, CodePipeline's limit for it")]
    TooLarge {
        /// The file.
        file: String,
    },
    /// The file's bytes cannot be unpacked.
    #[error("{file} cannot be unpacked: {problem}")]
    Broken {
        /// The file.
        file: String,
        /// Why.
        problem: String,
    },
    /// What it says makes no sense.
    #[error("{file}: {problem}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: ArtifactError,
    },
}

/// Reads the images of a zip, or of the JSON itself. `only` names the one file to read.
///
/// # Errors
/// When there is no such file, or it says nothing that could be deployed.
pub fn images(bytes: &[u8], only: Option<&str>) -> Result<ImageFile, ImagesError> {
    if matches!(bytes.trim_ascii_start().first(), Some(b'[' | b'{')) {
        return parse("artifact", bytes);
    }
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(ImagesError::NotAZip)?;
    let wanted: Vec<&str> = only.map_or_else(|| FILES.to_vec(), |file| vec![file]);
    let Some(file) = wanted.iter().find(|file| zip.index_for_name(file).is_some()) else {
        return Err(ImagesError::NoSuchFile { wanted: wanted.join(" or "), found: names(&zip) });
    };
    let content = unpack(&mut zip, file)?;
    match *file {
        "imagedefinitions.json" => parse_image_definitions(&content).map(ImageFile::Definitions),
        "imageDetail.json" => parse_image_detail(&content).map(ImageFile::Detail),
        _ => parse_image_file(&content),
    }
    .map_err(|problem| ImagesError::Content { file: (*file).to_owned(), problem })
}

fn parse(file: &str, content: &[u8]) -> Result<ImageFile, ImagesError> {
    parse_image_file(content).map_err(|problem| ImagesError::Content { file: file.to_owned(), problem })
}

/// Unpacks one file, at most as much as CodePipeline allows it to have: a zip may claim and hold anything.
fn unpack(zip: &mut ZipArchive<Cursor<&[u8]>>, file: &str) -> Result<Vec<u8>, ImagesError> {
    let broken = |problem: String| ImagesError::Broken { file: file.to_owned(), problem };
    let entry = zip.by_name(file).map_err(|problem| broken(problem.to_string()))?;
    let mut content = Vec::new();
    let most = IMAGE_DEFINITIONS_BYTES as u64 + 1;
    entry.take(most).read_to_end(&mut content).map_err(|problem| broken(problem.to_string()))?;
    if content.len() > IMAGE_DEFINITIONS_BYTES {
        return Err(ImagesError::TooLarge { file: file.to_owned() });
    }
    Ok(content)
}

fn names(zip: &ZipArchive<Cursor<&[u8]>>) -> String {
    let mut names: Vec<&str> = zip.file_names().collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMES_SHOWN);
    names.truncate(NAMES_SHOWN);
    let names: Vec<String> =
        names.into_iter().map(|name| cut(&printable(name), NAME_CHARS_SHOWN).into_owned()).collect();
    match (names.is_empty(), more) {
        (true, _) => "nothing".to_owned(),
        (_, 0) => names.join(", "),
        _ => format!("{} and {more} more", names.join(", ")),
    }
}

/// The images by container. `imageDetail.json` names no container, so it serves a definition with one container only.
///
/// # Errors
/// When it is an image detail and there is not exactly one container.
pub fn by_container(file: ImageFile, containers: &[String]) -> Result<Vec<ContainerImage>, String> {
    match (file, containers) {
        (ImageFile::Definitions(images), _) => Ok(images),
        (ImageFile::Detail(detail), [container]) => {
            Ok(vec![ContainerImage { container: container.clone(), image: detail.image }])
        }
        (ImageFile::Detail(_), several) => Err(format!(
            "imageDetail.json names no container, and the task definition has {}: use imagedefinitions.json, or image.<container>= in Options",
            several.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    const IMAGE: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2";

    fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn definitions() -> Vec<u8> {
        format!(r#"[{{"name":"app","imageUri":"{IMAGE}"}}]"#).into_bytes()
    }

    #[test]
    fn a_zip_and_the_json_itself_are_read() {
        for bytes in [zipped(&[("readme", b"x"), ("imagedefinitions.json", &definitions())]), definitions()] {
            let ImageFile::Definitions(images) = images(&bytes, None).unwrap() else { panic!("expected definitions") };
            assert_eq!(images[0].image.to_string(), IMAGE);
        }
    }

    #[test]
    fn what_is_missing_or_too_large_is_said() {
        let missing = images(&zipped(&[("a.txt", b""), ("b.txt", b"")]), None).unwrap_err().to_string();
        assert_eq!(missing, "the artifact holds no imagedefinitions.json or imageDetail.json; it holds: a.txt, b.txt");
        let bomb = zipped(&[("imagedefinitions.json", &vec![b' '; 1 << 20])]);
        assert!(bomb.len() < 10_000, "a bomb is small");
        assert!(matches!(images(&bomb, None), Err(ImagesError::TooLarge { .. })));
        assert!(matches!(images(b"PK\x03\x04 broken", None), Err(ImagesError::NotAZip(_))));
        assert!(matches!(images(b"", None), Err(ImagesError::NotAZip(_))));
    }

    #[test]
    fn an_image_detail_needs_exactly_one_container() {
        let detail = images(format!(r#"{{"ImageURI":"{IMAGE}"}}"#).as_bytes(), None).unwrap();
        assert_eq!(by_container(detail.clone(), &["app".into()]).unwrap()[0].container, "app");
        assert!(by_container(detail, &["app".into(), "proxy".into()]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..300) {
            let _ = images(&bytes, None);
            let mut zip = zipped(&[("imagedefinitions.json", &definitions())]);
            zip.truncate(zip.len().saturating_sub(cut));
            for (place, byte) in bytes.iter().take(5).enumerate() {
                let at = (place * 37 + usize::from(*byte)) % zip.len().max(1);
                if let Some(target) = zip.get_mut(at) {
                    *target = target.wrapping_add(*byte);
                }
            }
            let _ = images(&zip, None);
        }
    }
}
