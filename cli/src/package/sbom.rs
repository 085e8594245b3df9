//! The SBOM, in the CycloneDX 1.6 format: <https://cyclonedx.org/docs/1.6/json/>.
//!
//! The fields for a serial number and a time are left out: they are optional, and would change with each build.

use serde_json::{Value, json};

use super::{Built, Part, vendored};
use crate::crates::Crate;

pub fn sbom(built: &Built) -> Value {
    let is_own = |krate: &&Crate| krate.directory == built.function.directory;
    let parts = built.parts.iter().map(|part| {
        let kind = if part.is_library { "library" } else { "application" };
        let (reference, version) = (part_url(part), part.version.as_deref());
        let names = [&*part.name, &reference];
        let mut component =
            component(kind, names, version, part.is_library, part.licence.as_deref(), part.sha256.as_deref());
        component["purl"] = reference.into();
        if let Some(url) = &part.url {
            component["externalReferences"] = json!([{ "type": "distribution", "url": url }]);
        }
        // The name by which scanners find the vulnerabilities of a part that is not a crate.
        if let Some((product, version)) = vendored::product(&part.name).zip(version) {
            component["cpe"] = format!("cpe:2.3:a:{product}:{version}:*:*:*:*:*:*:*").into();
        }
        component
    });
    let function = built.crates.iter().find(is_own).map(|krate| of_crate("application", krate));
    let crates = built.crates.iter().filter(|krate| !is_own(krate)).map(|krate| of_crate("library", krate));
    let components: Vec<Value> = crates.chain(parts).collect();
    let of_crates = built.crates.iter().map(|krate| {
        let uses = built.crates.iter().filter(|other| krate.depends_on.contains(&other.id));
        let mut uses: Vec<String> = uses.map(reference).collect();
        let parts = built.parts.iter().filter(|part| match part.linked_by.is_empty() {
            true => is_own(&krate),
            false => part.linked_by.contains(&krate.id),
        });
        uses.extend(parts.map(part_url));
        json!({ "ref": reference(krate), "dependsOn": uses })
    });
    let of_parts = built.parts.iter().map(|part| json!({ "ref": part_url(part) }));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": function,
            "properties": [{ "name": "lambda-musl:target", "value": built.function.arch.triple() }],
        },
        "components": components,
        "dependencies": of_crates.chain(of_parts).collect::<Vec<_>>(),
    })
}

fn of_crate(kind: &str, krate: &Crate) -> Value {
    let (licence, checksum) = (krate.licence.as_deref(), krate.checksum.as_deref());
    let names = [&*krate.name, &reference(krate)];
    let mut component = component(kind, names, Some(&krate.version), krate.linked, licence, checksum);
    if let Some(url) = crate_url(krate) {
        component["purl"] = url.into();
    }
    component
}

fn component(
    kind: &str, [name, reference]: [&str; 2], version: Option<&str>, is_linked: bool, licence: Option<&str>,
    checksum: Option<&str>,
) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": reference,
        "name": name,
        "scope": if is_linked { "required" } else { "excluded" },
    });
    if let Some(version) = version {
        component["version"] = version.into();
    }
    if let Some(expression) = licence {
        component["licenses"] = json!([{ "expression": expression }]);
    }
    if let Some(content) = checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": content }]);
    }
    component
}

/// A crate's unique reference in the SBOM: no two crates have the same name, version and source.
fn reference(krate: &Crate) -> String {
    crate_url(krate).unwrap_or_else(|| format!("path:{}@{}", krate.name, krate.version))
}

/// The package URL of a crate: <https://github.com/package-url/purl-spec>. A crate from a path has none, because
/// scanners would confuse it with the published crate of that name, which may be a different crate.
fn crate_url(krate: &Crate) -> Option<String> {
    let url = format!("pkg:cargo/{}@{}", krate.name, quoted(&krate.version));
    let source = krate.source.as_ref()?;
    if source.is_crates_io() {
        return Some(url);
    }
    let (qualifier, address) = match source.repr.split_once('+')? {
        ("registry" | "sparse", index) => ("repository_url", index.to_owned()),
        // `…?tag=v1#COMMIT`: the commit is sufficient.
        (_, repository) => {
            let (address, commit) = repository.split_once('#').unwrap_or((repository, ""));
            ("vcs_url", format!("git+{}@{commit}", address.split('?').next().unwrap_or_default()))
        }
    };
    Some(format!("{url}?{qualifier}={}", quoted(&address)))
}

/// Text with percent-encoding, for a URL. A plus sign is encoded because it could be read as a space.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    let quoted = text.bytes().map(|byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    quoted.collect()
}

fn part_url(part: &Part) -> String {
    let version = part.version.as_deref().and_then(|version| version.split(' ').next());
    let version = version.map(|version| format!("@{}", quoted(version))).unwrap_or_default();
    format!("pkg:generic/{}{version}", quoted(&part.name.to_lowercase()))
}
