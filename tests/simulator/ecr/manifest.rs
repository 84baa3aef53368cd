//! Manifests as buildx writes them: real JSON, whose SHA-256 is really the digest.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Behaviour;

/// The media type of an index.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of one architecture's manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an image's configuration.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of a configuration that says nothing.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// What cosign calls a signature.
pub(crate) const COSIGN: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// `sha256:` and 64 hex digits.
pub(crate) fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold("sha256:".to_owned(), |mut text, byte| {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One manifest and the configuration that it names.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) manifest: String,
    pub(crate) digest: String,
    /// The configuration's digest and text.
    pub(crate) config: (String, String),
}

/// Builds the image of one architecture. Whatever differs (name, tags, date, behaviour) makes another digest.
pub(crate) fn image(
    name: &str,
    tags: &[String],
    architecture: &str,
    behaviour: &Behaviour,
    created: SystemTime,
    size: u64,
) -> Built {
    let created = DateTime::<Utc>::from(created).to_rfc3339_opts(SecondsFormat::Millis, true);
    let seed = format!("{name} {} {architecture} {behaviour:?} {created}", tags.join(","));
    let layer_ids = [digest(format!("base {architecture}").as_bytes()), digest(seed.as_bytes())];
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": { "Entrypoint": ["/app"], "Labels": { "org.opencontainers.image.version": tags.join(",") } },
        "rootfs": { "type": "layers", "diff_ids": layer_ids },
        "history": [{ "created": created, "created_by": "COPY app /app" }],
    })
    .to_string();
    // The base layer is shared by all images of an architecture, as it is in real life.
    let base = size / 2;
    let layers = json!([
        { "mediaType": LAYER, "size": base, "digest": digest(format!("base.gz {architecture}").as_bytes()) },
        { "mediaType": LAYER, "size": size - base, "digest": digest(format!("{seed}.gz").as_bytes()) },
    ]);
    built(config, layers)
}

/// Builds the attestation that buildx adds for an image: provenance, in an index under platform unknown/unknown.
pub(crate) fn attestation(subject: &str) -> Built {
    let config = json!({
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [digest(format!("provenance {subject}").as_bytes())] },
    })
    .to_string();
    let size = 1_536;
    let layers = json!([{
        "mediaType": IN_TOTO,
        "size": size,
        "digest": digest(format!("provenance {subject}").as_bytes()),
        "annotations": { "in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2" },
    }]);
    built(config, layers)
}

fn built(config: String, layers: Value) -> Built {
    let config_digest = digest(config.as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "size": config.len(), "digest": config_digest },
        "layers": layers,
    })
    .to_string();
    Built { digest: digest(manifest.as_bytes()), manifest, config: (config_digest, config) }
}

/// Builds an artifact of a type (a signature, an SBOM), which names its subject, a digest with its media type and size.
/// Without one it belongs to an image by its tag alone, as cosign's and SOCI's older forms do.
pub(crate) fn artifact(artifact_type: &str, seed: &str, subject: Option<(&str, &str, usize)>) -> Built {
    let config = "{}".to_owned();
    let config_digest = digest(config.as_bytes());
    let content = digest(format!("{artifact_type} {seed}").as_bytes());
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": { "mediaType": EMPTY, "size": config.len(), "digest": config_digest },
        "layers": [{ "mediaType": artifact_type, "size": 512, "digest": content }],
    });
    if let (Some(members), Some((digest, media_type, size))) = (manifest.as_object_mut(), subject) {
        members.insert("subject".into(), json!({ "mediaType": media_type, "digest": digest, "size": size }));
    }
    let manifest = manifest.to_string();
    Built { digest: digest(manifest.as_bytes()), manifest, config: (config_digest, config) }
}

/// Builds an index over manifests that are there: media type, digest, size and architecture of each.
pub(crate) fn index_of(children: &[(String, String, usize, Option<String>)]) -> String {
    let child = |(media_type, digest, size, architecture): &(String, String, usize, Option<String>)| {
        let mut entry = json!({ "mediaType": media_type, "digest": digest, "size": size });
        if let (Some(members), Some(architecture)) = (entry.as_object_mut(), architecture) {
            members.insert("platform".into(), json!({ "architecture": architecture, "os": "linux" }));
        }
        entry
    };
    let manifests: Vec<Value> = children.iter().map(child).collect();
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }).to_string()
}

/// Builds the index over images (architecture, image) and their attestations.
pub(crate) fn index(images: &[(String, Built)], attestations: &[(String, Built)]) -> String {
    let image = |(architecture, built): &(String, Built)| {
        json!({
            "mediaType": MANIFEST,
            "digest": built.digest,
            "size": built.manifest.len(),
            "platform": { "architecture": architecture, "os": "linux" },
        })
    };
    let attestation = |(subject, built): &(String, Built)| {
        json!({
            "mediaType": MANIFEST,
            "digest": built.digest,
            "size": built.manifest.len(),
            "annotations": {
                "vnd.docker.reference.digest": subject,
                "vnd.docker.reference.type": "attestation-manifest",
            },
            "platform": { "architecture": "unknown", "os": "unknown" },
        })
    };
    let manifests: Vec<Value> = images.iter().map(image).chain(attestations.iter().map(attestation)).collect();
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }).to_string()
}
