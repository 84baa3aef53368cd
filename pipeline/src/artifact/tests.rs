use super::*;
use proptest::prelude::*;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn definitions_error(text: &str) -> String {
    parse_image_definitions(text.as_bytes()).unwrap_err().to_string()
}

fn detail_error(text: &str) -> String {
    parse_image_detail(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn reads_image_definitions() {
    let text = r#"[{"name": "app", "imageUri": "shop/app:v7"}, {"imageUri": "nginx", "name": "web", "note": 1}]"#;
    let images = parse_image_definitions(text.as_bytes()).unwrap();
    let images: Vec<_> = images.iter().map(|image| (image.container.as_str(), image.image.to_string())).collect();
    assert_eq!(images, [("app", "shop/app:v7".to_owned()), ("web", "nginx".to_owned())]);
}

#[test]
fn tolerates_a_byte_order_mark() {
    let text = "\u{feff}[{\"name\": \"app\", \"imageUri\": \"shop/app:v7\"}]\n";
    assert_eq!(parse_image_definitions(text.as_bytes()).unwrap().len(), 1);
}

#[test]
fn reads_what_an_ecr_source_writes() {
    let uri = format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app@sha256:{HEX}");
    let text = format!(
        r#"{{"ImageSizeInBytes": "44728918", "ImageDigest": "sha256:{HEX}", "Version": "1.0",
            "ImagePushedAt": "Mon Jan 21 20:04:00 UTC 2019", "RegistryId": "123456789012", "RepositoryName": "app",
            "ImageURI": "{uri}", "ImageTags": ["latest"]}}"#
    );
    assert_eq!(parse_image_detail(text.as_bytes()).unwrap().image.to_string(), uri);
}

#[test]
fn a_detail_is_pinned_to_its_digest() {
    let text = format!(r#"{{"ImageURI": "shop/app:v7", "ImageDigest": "sha256:{HEX}"}}"#);
    let image = parse_image_detail(text.as_bytes()).unwrap().image;
    assert_eq!(image.to_string(), format!("shop/app:v7@sha256:{HEX}"));
    assert_eq!(parse_image_detail(br#"{"ImageURI": "nginx"}"#).unwrap().image.to_string(), "nginx");
}

#[test]
fn tells_the_files_apart_by_their_form() {
    let file = |text: &str| parse_image_file(text.as_bytes());
    let list = r#"[{"name": "app", "imageUri": "shop/app:v7"}]"#;
    assert!(matches!(file(list), Ok(ImageFile::Definitions(images)) if images.len() == 1));
    assert!(matches!(file(r#"{"ImageURI": "nginx"}"#), Ok(ImageFile::Detail(_))));
    assert!(file("7").unwrap_err().to_string().starts_with("found a number, expected a list"));
}

#[test]
fn says_what_is_wrong_with_the_whole() {
    assert!(definitions_error("{}").starts_with("found an object, expected a list such as ["));
    assert!(definitions_error("[]").starts_with("found an empty list, expected a list such as ["));
    assert!(
        definitions_error("").starts_with("found no JSON (EOF while parsing a value at line 1 column 0), expected a")
    );
    assert!(detail_error("[1]").starts_with("found a list, expected an object such as {"));
    assert!(detail_error(&"[".repeat(5_000)).contains("recursion limit"));
    let utf16 = parse_image_definitions(b"\xff\xfe[\0]\0").unwrap_err().to_string();
    assert_eq!(utf16, "found UTF-16, expected a JSON file in UTF-8");
    let large = definitions_error(&" ".repeat(IMAGE_DEFINITIONS_BYTES + 1));
    assert_eq!(large, "found 102401 bytes, expected at most 102400");
}

#[test]
fn says_what_is_wrong_with_every_entry() {
    let text = r#"[{"name": "app", "imageUri": "shop/app:v7"}, "app:v7", {"imageUri": "App"},
                   {"name": "app", "imageUri": 7}, {"name": "my app", "imageUri": "nginx"}]"#;
    let expected = "\
entry 1: found a string, expected an object with name and imageUri
entry 2, name: found nothing, expected the name of a container, 1 to 255 letters, digits, _ or -
entry 2, imageUri: found \"App\", expected an image as host/repository:tag or host/repository@sha256:…, the repository in lower case
entry 3, name: found \"app\" a second time, expected each container once
entry 3, imageUri: found a number, expected an image as host/repository:tag or host/repository@sha256:…
entry 4, name: found \"my app\", expected the name of a container, 1 to 255 letters, digits, _ or -";
    assert_eq!(definitions_error(text), expected);
}

#[test]
fn says_what_is_wrong_with_a_detail() {
    assert!(detail_error("{}").starts_with("ImageURI: found nothing, expected an image"));
    assert!(detail_error(r#"{"ImageURI": "app:v1", "ImageDigest": null}"#).starts_with("ImageDigest: found null"));
    let text = format!(r#"{{"ImageURI": "app@sha256:{HEX}", "ImageDigest": "sha256:{}"}}"#, "0".repeat(64));
    assert!(detail_error(&text).contains(&format!("expected the digest in ImageURI, which is sha256:{HEX}")));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse_image_definitions(&bytes).is_err());
        prop_assert!(parse_image_detail(&bytes).is_err());
        prop_assert!(parse_image_file(&bytes).is_err());
    }

    #[test]
    fn arbitrary_entries_never_panic(
        entries in proptest::collection::vec(("[a-z]{0,3}| ?", "[a-z]{0,9}(:[a-z0-9]{0,3})?|.*"), 0..6),
    ) {
        let list: Vec<_> =
            entries.iter().map(|(name, image)| serde_json::json!({"name": name, "imageUri": image})).collect();
        match parse_image_file(Value::from(list).to_string().as_bytes()) {
            Ok(ImageFile::Definitions(images)) => prop_assert_eq!(images.len(), entries.len()),
            Ok(ImageFile::Detail(_)) => prop_assert!(false, "a list is no detail"),
            Err(error) => prop_assert!(error.to_string().contains("expected")),
        }
    }
}
