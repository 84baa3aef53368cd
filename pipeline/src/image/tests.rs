use super::*;
use proptest::prelude::*;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn parse(text: &str) -> ImageReference {
    ImageReference::parse(text).unwrap()
}

#[test]
fn reads_every_family_of_ecr_hosts() {
    for (host, family, region) in [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", HostFamily::Standard, "eu-west-1"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", HostFamily::Fips, "us-gov-west-1"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", HostFamily::DualStack, "eu-west-1"),
        ("123456789012.dkr-ecr-fips.us-east-1.on.aws", HostFamily::DualStackFips, "us-east-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", HostFamily::China, "cn-north-1"),
        ("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", HostFamily::ChinaDualStack, "cn-north-1"),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", HostFamily::EuropeanSovereign, "eusc-de-east-1"),
        ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", HostFamily::Iso, "us-iso-east-1"),
        ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", HostFamily::IsoB, "us-isob-east-1"),
        ("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", HostFamily::IsoE, "eu-isoe-west-1"),
        ("123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", HostFamily::IsoF, "us-isof-south-1"),
    ] {
        let image = parse(&format!("{host}/shop/app:v7@sha256:{HEX}"));
        let ecr = image.ecr().unwrap();
        assert_eq!((ecr.account.as_str(), ecr.region.as_str(), ecr.family), ("123456789012", region, family));
        assert_eq!(ecr.host(), host);
        assert_eq!((image.repository(), image.tag()), ("shop/app", Some("v7")));
        assert_eq!(image.digest().unwrap().to_string(), format!("sha256:{HEX}"));
    }
}

#[test]
fn reads_references_to_other_registries() {
    for (text, repository, tag) in [
        ("nginx", "nginx", None),
        ("nginx:1.27", "nginx", Some("1.27")),
        ("shop/app", "shop/app", None),
        ("docker.io/library/nginx:1", "library/nginx", Some("1")),
        ("localhost/app", "app", None),
        ("localhost:5000/app:v1", "app", Some("v1")),
        ("public.ecr.aws/nginx/nginx:stable", "nginx/nginx", Some("stable")),
        ("Registry/app", "app", None),
        ("a.dkr.example.com/app", "app", None),
    ] {
        let image = parse(text);
        assert_eq!((image.repository(), image.tag()), (repository, tag), "{text}");
        assert_eq!(image.to_string(), text);
        assert!(image.ecr().is_none(), "{text}");
    }
}

#[test]
fn reads_repository_names_as_ecr_does() {
    for (repository, legal) in [
        ("app", true),
        ("a1/b2/c3", true),
        ("a--b---c", true),
        ("a__b", true),
        ("a.b_c-d", true),
        ("a", false),
        ("a..b", false),
        ("a___b", false),
        ("a._b", false),
        ("-app", false),
        ("app-", false),
        ("App", false),
        ("shop//app", false),
        ("/app", false),
        ("app/", false),
        ("", false),
    ] {
        let text = format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/{repository}");
        assert_eq!(ImageReference::parse(&text).is_ok(), legal, "{text}");
    }
}

#[test]
fn lowers_an_ecr_host_and_a_digest() {
    let image = parse(&format!("123456789012.DKR.ecr.EU-west-1.amazonaws.com/app@sha256:{}", HEX.to_uppercase()));
    assert_eq!(image.to_string(), format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app@sha256:{HEX}"));
}

#[test]
fn refuses_what_only_looks_like_ecr() {
    for host in [
        "12345.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443",
        "123456789012.dkr.ecr.eu-west-1.example.com",
        "123456789012.dkr.ecr..amazonaws.com",
        "123456789012.dkr.ecr.amazonaws.com",
        "123456789012.dkr.ecr.eu.west.1.amazonaws.com",
        "123456789012.dkr-ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr",
    ] {
        assert!(ImageReference::parse(&format!("{host}/app:v1")).is_err(), "{host}");
    }
}

#[test]
fn refuses_broken_references() {
    for text in [
        "",
        " nginx",
        "nginx\n",
        "nginx:",
        "nginx:-1",
        "nginx:a b",
        "nginx@",
        "nginx@sha256:abc",
        "nginx@sha512:0123",
        "nginx@@",
        "Nginx",
        "https://docker.io/nginx",
        "docker.io:99999/nginx",
        "docker.io:/nginx",
        "docker..io/nginx",
        "/nginx",
        "nginx/",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "naïve",
        "#{build.Image}",
    ] {
        assert!(ImageReference::parse(text).is_err(), "{text}");
    }
    assert!(ImageReference::parse(&format!("nginx:{}", "t".repeat(128))).is_ok());
    assert!(ImageReference::parse(&format!("nginx:{}", "t".repeat(129))).is_err());
    assert!(ImageReference::parse(&format!("{}@sha256:{HEX}", "a".repeat(255))).is_ok());
    assert!(ImageReference::parse(&"a".repeat(256)).is_err());
}

#[test]
fn says_what_is_wrong() {
    let said = |text: &str| ImageReference::parse(text).unwrap_err().to_string();
    assert_eq!(said("app@sha256:12"), r#"found "sha256:12", expected a digest as sha256: and 64 hexadecimal digits"#);
    assert_eq!(
        said("123456789012.dkr.ecr.eu-west-1.amazonaws.com/App:v1"),
        r#"found "App", expected an ECR repository: 2 to 256 lower-case letters and digits, with . _ - / between them"#
    );
}

#[test]
fn pins_and_unpins() {
    let digest = Digest::parse(&format!("sha256:{HEX}")).unwrap();
    assert_eq!(digest.short(), "0123456789ab");
    let pinned = parse("shop/app:v7").with_digest(digest);
    assert_eq!(pinned.to_string(), format!("shop/app:v7@sha256:{HEX}"));
    assert_eq!(pinned.without_tag().to_string(), format!("shop/app@sha256:{HEX}"));
}

#[test]
fn one_repository_by_two_hosts() {
    let standard = parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app");
    let dual_stack = parse("123456789012.dkr-ecr.eu-west-1.on.aws/app");
    assert_ne!(standard, dual_stack);
    assert!(standard.ecr().unwrap().is_same(dual_stack.ecr().unwrap()));
}

#[test]
fn says_what_a_broken_reference_seems_to_name() {
    let account = "123456789012";
    for (text, registry, repository) in [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/App:v1", Some("eu-west-1"), None),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/app:", Some("eu-west-1"), Some("shop/app")),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/app@sha256:12", Some("eu-west-1"), Some("shop/app")),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1 ", Some("eu-west-1"), Some("app")),
        ("https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1", Some("eu-west-1"), Some("app")),
        ("123456789012.DKR.ECR.eu-west-1.amazonaws.com:443/app", None, Some("app")),
        ("123456789012.dkr.ecr.eu-west-1.example.com/app", None, Some("app")),
        ("${ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app", None, Some("app")),
        ("x/123456789012.ecr/app ", None, Some("app")),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Some("eu-west-1"), None),
    ] {
        assert!(ImageReference::parse(text).is_err(), "{text}");
        let broken = BrokenReference::find(text, &[account]).expect(text);
        assert_eq!((broken.region.as_deref(), broken.repository.as_deref()), (registry, repository), "{text}");
    }
    for text in ["", "Nginx", "210987654321.dkr.ecr.eu-west-1.amazonaws.com/App", "1234567890123/App"] {
        let broken = BrokenReference::find(text, &[account]);
        assert!(broken.is_none_or(|broken| broken.account.as_deref() == Some("210987654321")), "{text}");
    }
}

#[test]
fn travels_as_a_string() {
    let image = parse("shop/app:v7");
    let json = serde_json::to_string(&image).unwrap();
    assert_eq!(json, r#""shop/app:v7""#);
    assert_eq!(serde_json::from_str::<ImageReference>(&json).unwrap(), image);
    assert!(serde_json::from_str::<ImageReference>(r#""Shop App""#).is_err());
}

prop_compose! {
    fn any_reference()(
        host in prop_oneof![
            Just(String::new()),
            "[0-9]{12}\\.dkr\\.ecr(-fips)?\\.[a-z]{2}-[a-z]{4,9}-[1-9]\\.amazonaws\\.com/",
            "[0-9]{12}\\.dkr-ecr(-fips)?\\.[a-z]{2}-[a-z]{4,9}-[1-9]\\.on\\.aws/",
            "[a-z]{1,9}(\\.[a-z]{2,9}){1,2}(:[1-9][0-9]{0,3})?/",
        ],
        repository in "[a-z0-9]{2,9}(-{1,3}[a-z0-9]{1,9}){0,2}(/[a-z0-9]{1,9}((\\.|_|__|-{1,3})[a-z0-9]{1,9}){0,2}){0,2}",
        tag in "(:[A-Za-z0-9_][A-Za-z0-9._-]{0,40})?",
        digest in "(@sha256:[0-9a-f]{64})?",
    ) -> String {
        format!("{host}{repository}{tag}{digest}")
    }
}

proptest! {
    #[test]
    fn legal_references_round_trip(text in any_reference()) {
        let image = ImageReference::parse(&text);
        prop_assert_eq!(image.as_ref().map(ToString::to_string), Ok(text));
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[a-zA-Z0-9.:/@_ é-]{0,60}|.*") {
        if let Ok(image) = ImageReference::parse(&text) {
            prop_assert_eq!(ImageReference::parse(&image.to_string()), Ok(image));
        }
    }

    #[test]
    fn what_names_our_account_is_never_overlooked(before in "[^0-9/]{0,9}", after in "([^0-9].{0,30})?") {
        let text = format!("{before}123456789012.dkr.ecr{after}");
        let broken = BrokenReference::find(&text, &["123456789012"]);
        prop_assert!(broken.is_some_and(|broken| broken.account.is_none_or(|account| account == "123456789012")));
    }

    #[test]
    fn damaged_references_never_name_another_registry(text in "[0-9]{12}\\.dkr[.-]ecr([.:-].{0,30})?(/app)?") {
        if let Ok(image) = ImageReference::parse(&text) {
            prop_assert!(image.ecr().is_some(), "{} is taken for another registry", text);
        }
    }
}
