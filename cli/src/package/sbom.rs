//! The SBOM in the format of CycloneDX 1.6: <https://cyclonedx.org/docs/1.6/json/>.
//!
//! The fields for a serial number and a time are left out: they are optional, and would change with each build.

use serde_json::{Value, json};

use super::{Built, Part};
use crate::project::{Crate, Id};

pub fn sbom(built: &Built) -> Value {
    let own = (built.function.name.clone(), built.function.version.clone());
    let (this, crates): (Vec<&Crate>, Vec<&Crate>) = built.crates.iter().partition(|krate| krate.id == own);
    let components: Vec<Value> = crates
        .iter()
        .map(|krate| of_crate(krate, "library"))
        .chain(built.parts.iter().map(of_part))
        .collect();
    let mut dependencies: Vec<Value> = built
        .crates
        .iter()
        .map(|krate| {
            let mut uses: Vec<String> = krate.depends_on.iter().map(crate_url).collect();
            if krate.id == own {
                uses.extend(built.parts.iter().map(part_url));
            }
            json!({ "ref": crate_url(&krate.id), "dependsOn": uses })
        })
        .collect();
    dependencies.extend(
        built
            .parts
            .iter()
            .map(|part| json!({ "ref": part_url(part) })),
    );
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": this.first().map(|krate| of_crate(krate, "application")),
            "properties": [{ "name": "lambda-musl:target", "value": built.function.arch.triple() }],
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn of_crate(krate: &Crate, kind: &str) -> Value {
    let url = crate_url(&krate.id);
    let mut component = json!({
        "type": kind,
        "bom-ref": url,
        "name": krate.id.0,
        "version": krate.id.1,
        "purl": url,
        "scope": if krate.linked { "required" } else { "excluded" },
    });
    add_licence(&mut component, krate.licence.as_ref());
    add_checksum(&mut component, krate.checksum.as_ref());
    component
}

fn of_part(part: &Part) -> Value {
    let url = part_url(part);
    let mut component = json!({
        "type": if part.is_library { "library" } else { "application" },
        "bom-ref": url,
        "name": part.name,
        "version": part.version,
        "purl": url,
        "scope": if part.is_library { "required" } else { "excluded" },
    });
    if let Some(cpe) = cpe(part) {
        component["cpe"] = cpe.into();
    }
    component["externalReferences"] = json!([{ "type": "distribution", "url": part.url }]);
    add_licence(&mut component, Some(&part.licence));
    add_checksum(&mut component, part.sha256.as_ref());
    component
}

fn add_licence(component: &mut Value, licence: Option<&String>) {
    if let Some(expression) = licence {
        component["licenses"] = json!([{ "expression": expression }]);
    }
}

fn add_checksum(component: &mut Value, sha256: Option<&String>) {
    if let Some(sum) = sha256 {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
}

/// A package URL: <https://github.com/package-url/purl-spec>.
fn crate_url((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{}", encoded(version))
}

fn part_url(part: &Part) -> String {
    let version = part.version.split(' ').next().unwrap_or_default();
    format!(
        "pkg:generic/{}@{}",
        part.name.to_lowercase(),
        encoded(version)
    )
}

/// The build metadata of a version starts with a `+`, which a URL could take for a space.
fn encoded(version: &str) -> String {
    version.replace('+', "%2B")
}

/// The name under which scanners know the flaws of what is no crate.
fn cpe(part: &Part) -> Option<String> {
    let product = match part.name.as_str() {
        "musl" => "musl-libc:musl",
        "OpenSSL" => "openssl:openssl",
        _ => return None,
    };
    Some(format!(
        "cpe:2.3:a:{product}:{}:*:*:*:*:*:*:*",
        part.version
    ))
}
