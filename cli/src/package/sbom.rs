//! The SBOM in the format of CycloneDX 1.6: <https://cyclonedx.org/docs/1.6/json/>.
//!
//! The fields for a serial number and a time are left out: they are optional, and would change with each build.

use serde_json::{Value, json};

use super::{Built, Part};
use crate::crates::Id;

pub fn sbom(built: &Built) -> Value {
    let own = &(built.function.name.clone(), built.function.version.clone());
    let crates = |is_own: bool, kind: &'static str| {
        let crates = built.crates.iter().filter(move |krate| (krate.id == *own) == is_own);
        crates.map(move |krate| {
            let (licence, checksum) = (krate.licence.as_deref(), krate.checksum.as_deref());
            component(kind, &krate.id, &crate_url(&krate.id), krate.linked, licence, checksum)
        })
    };
    let parts = built.parts.iter().map(|part| {
        let kind = if part.is_library { "library" } else { "application" };
        let id = (part.name.clone(), part.version.clone());
        let (licence, checksum) = (Some(&*part.licence), part.sha256.as_deref());
        let mut component = component(kind, &id, &part_url(part), part.is_library, licence, checksum);
        component["externalReferences"] = json!([{ "type": "distribution", "url": part.url }]);
        // The name under which scanners know the flaws of what is no crate.
        if let Some((_, product)) = PRODUCTS.iter().find(|(name, _)| *name == part.name) {
            component["cpe"] = format!("cpe:2.3:a:{product}:{}:*:*:*:*:*:*:*", part.version).into();
        }
        component
    });
    let function = crates(true, "application").next();
    let components: Vec<Value> = crates(false, "library").chain(parts).collect();
    let of_crates = built.crates.iter().map(|krate| {
        let mut uses: Vec<String> = krate.depends_on.iter().map(crate_url).collect();
        if krate.id == *own {
            uses.extend(built.parts.iter().map(part_url));
        }
        json!({ "ref": crate_url(&krate.id), "dependsOn": uses })
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

/// Parts by name, and as they are called in <https://nvd.nist.gov/products/cpe>.
const PRODUCTS: [(&str, &str); 2] = [("musl", "musl-libc:musl"), ("OpenSSL", "openssl:openssl")];

fn component(kind: &str, id: &Id, url: &str, is_linked: bool, licence: Option<&str>, checksum: Option<&str>) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": url,
        "name": id.0,
        "version": id.1,
        "purl": url,
        "scope": if is_linked { "required" } else { "excluded" },
    });
    if let Some(expression) = licence {
        component["licenses"] = json!([{ "expression": expression }]);
    }
    if let Some(content) = checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": content }]);
    }
    component
}

/// A package URL: <https://github.com/package-url/purl-spec>. The build metadata of a version starts with a `+`, which
/// a URL could take for a space.
fn crate_url((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

fn part_url(part: &Part) -> String {
    let version = part.version.split(' ').next().unwrap_or_default();
    format!("pkg:generic/{}@{}", part.name.to_lowercase(), version.replace('+', "%2B"))
}
