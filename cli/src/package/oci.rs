//! The function as a container image, written without a container engine: an image layout in a tar archive, as specified in
//! <https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>. The archive also contains
//! `manifest.json`, for engines that do not support this layout. The archive's bytes depend only on its contents.

use std::io::Write;

use anyhow::{Result, ensure};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::form::{Content, Contents, Form};
use crate::project::Function;
use crate::verify::sha256_hex;

/// The name of the file, which is written next to the zip.
pub const FILE: &str = "function.oci.tar";

/// The directory of a function's files on Lambda.
const TASK: &str = "var/task";

/// The time of all files, the same as in the zip: 1 January 1980.
const TIME: u64 = 315_532_800;
const CREATED: &str = "1980-01-01T00:00:00Z";

/// The user that runs the function by default. Lambda uses its own user.
const NOBODY: &str = "65534:65534";

/// Fails if an image of an extension is requested.
pub fn check(is_asked_for: bool, function: &Function) -> Result<()> {
    ensure!(
        !is_asked_for || function.form != Form::Extension,
        "--oci: {} is an extension, which Lambda accepts as a layer; for an image, copy its program to /opt/extensions",
        function.binary
    );
    Ok(())
}

/// The image archive with the files of a package.
pub fn archive(function: &Function, contents: &Contents) -> Result<Vec<u8>> {
    write(&function.name, &function.version, function.arch.platform(), &files(function.form, contents))
}

/// The files of the image: those of the zip, with the binary in place of the `bootstrap` script, because the image has no shell.
fn files(form: Form, contents: &Contents) -> Contents {
    let mut files = contents.clone();
    if form == Form::Script
        && let Some(binary) = files.remove("binary")
    {
        files.insert("bootstrap".into(), binary);
    }
    files
}

fn write(name: &str, version: &str, platform: &str, files: &Contents) -> Result<Vec<u8>> {
    let (system, architecture) = platform.split_once('/').unwrap_or_default();
    let layer = layer(files)?;
    // At this level, the compressor's search is the same on every processor.
    let mut compressor = GzBuilder::new().operating_system(255).write(Vec::new(), Compression::best());
    compressor.write_all(&layer)?;
    let compressed = compressor.finish()?;
    let config = json!({
        "architecture": architecture,
        "os": system,
        "created": CREATED,
        "config": {
            "User": NOBODY,
            "Env": ["LAMBDA_TASK_ROOT=/var/task"],
            "Entrypoint": [format!("/{TASK}/bootstrap")],
            "WorkingDir": format!("/{TASK}"),
        },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        "history": [{ "created": CREATED, "created_by": "cargo lambda-musl build --oci" }],
    });
    let config = config.to_string().into_bytes();
    let kind = |name: &str| format!("application/vnd.oci.image.{name}");
    let describe = |kind: String, blob: &[u8]| json!({ "mediaType": kind, "digest": digest(blob), "size": blob.len() });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": kind("manifest.v1+json"),
        "config": describe(kind("config.v1+json"), &config),
        "layers": [describe(kind("layer.v1.tar+gzip"), &compressed)],
    });
    let manifest = manifest.to_string().into_bytes();
    let tag = tag(name, version);
    let mut described = describe(kind("manifest.v1+json"), &manifest);
    described["platform"] = json!({ "architecture": architecture, "os": system });
    if let Some(tag) = &tag {
        let reference = tag.split(':').next_back();
        described["annotations"] = json!({ "io.containerd.image.name": format!("docker.io/library/{tag}"), "org.opencontainers.image.ref.name": reference });
    }
    let index = json!({ "schemaVersion": 2, "mediaType": kind("index.v1+json"), "manifests": [described] });
    let of_engines =
        json!([{ "Config": path(&config), "RepoTags": tag.map(|tag| vec![tag]), "Layers": [path(&compressed)] }]);
    let text = |value: Value| value.to_string().into_bytes();
    let mut blobs = [config, manifest, compressed].map(|blob| (path(&blob), blob));
    blobs.sort();
    let mut tar = Builder::new(Vec::new());
    for directory in ["blobs/", "blobs/sha256/"] {
        append(&mut tar, directory, 0o755, &[])?;
    }
    for (name, blob) in blobs {
        append(&mut tar, &name, 0o644, &blob)?;
    }
    append(&mut tar, "index.json", 0o644, &text(index))?;
    append(&mut tar, "manifest.json", 0o644, &text(of_engines))?;
    append(&mut tar, "oci-layout", 0o644, &text(json!({ "imageLayoutVersion": "1.0.0" })))?;
    Ok(tar.into_inner()?)
}

/// The only layer: the files, their directories, and /tmp, which also exists on Lambda.
fn layer(files: &Contents) -> Result<Vec<u8>> {
    let mut directories = std::collections::BTreeSet::from([format!("{TASK}/"), "var/".to_owned()]);
    let files: Vec<(String, &Content)> = files.iter().map(|(name, file)| (format!("{TASK}/{name}"), file)).collect();
    for (name, _) in &files {
        directories.extend(name.match_indices('/').map(|(at, _)| name[..=at].to_owned()));
    }
    let mut tar = Builder::new(Vec::new());
    append(&mut tar, "tmp/", 0o1777, &[])?;
    for directory in directories {
        append(&mut tar, &directory, 0o755, &[])?;
    }
    for (name, file) in files {
        append(&mut tar, &name, if file.is_program { 0o755 } else { 0o644 }, &file.bytes)?;
    }
    Ok(tar.into_inner()?)
}

/// Appends a file that belongs to root, or a directory if the name ends with a slash.
fn append(tar: &mut Builder<Vec<u8>>, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(if name.ends_with('/') { EntryType::Directory } else { EntryType::Regular });
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME);
    header.set_size(bytes.len() as u64);
    Ok(tar.append_data(&mut header, name, bytes)?)
}

fn digest(blob: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(blob))
}

fn path(blob: &[u8]) -> String {
    format!("blobs/sha256/{}", sha256_hex(blob))
}

/// The name under which engines load the image: the package's name and version, if they form a valid name.
fn tag(name: &str, version: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = name.starts_with(is_letter)
        && name.ends_with(is_letter)
        && name.split(['-', '_']).all(|part| !part.is_empty() && part.chars().all(is_letter));
    is_name.then(|| format!("{name}:{}", version.replace('+', "-")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::verify::ENTRY_POINT;

    fn contents() -> Contents {
        let file = |bytes: &[u8], is_program| Content { bytes: bytes.into(), is_program };
        [
            ("binary", file(b"\x7fELF", true)),
            ("bootstrap", file(ENTRY_POINT, true)),
            ("config/a.txt", file(b"a", false)),
        ]
        .map(|(name, file)| (name.to_owned(), file))
        .into()
    }

    /// The names, modes and contents of an archive's entries.
    fn entries(tar: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(tar);
        let read = |entry: std::io::Result<tar::Entry<&[u8]>>| {
            let mut entry = entry.unwrap();
            let (header, mut bytes) = (entry.header().clone(), Vec::new());
            entry.read_to_end(&mut bytes).unwrap();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, TIME));
            (entry.path().unwrap().display().to_string(), header.mode().unwrap(), bytes)
        };
        archive.entries().unwrap().map(read).collect()
    }

    fn image(form: Form) -> BTreeMap<String, Vec<u8>> {
        let archive = write("Greeting", "0.1.0+a", "linux/arm64", &files(form, &contents())).unwrap();
        entries(&archive).into_iter().map(|(name, _, bytes)| (name, bytes)).collect()
    }

    fn json_of(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn the_index_leads_to_each_blob_by_digest_and_size() {
        let image = image(Form::Script);
        let blob = |described: &Value| {
            let blob = &image[&described["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/")];
            assert_eq!(
                (described["digest"].as_str().unwrap(), described["size"].as_u64()),
                (&*digest(blob), Some(blob.len() as u64))
            );
            blob.clone()
        };
        let described = &json_of(&image["index.json"])["manifests"][0];
        assert_eq!(described["platform"], json!({"architecture": "arm64", "os": "linux"}));
        let manifest = json_of(&blob(described));
        let config = json_of(&blob(&manifest["config"]));
        let mut layer = Vec::new();
        GzDecoder::new(&blob(&manifest["layers"][0])[..]).read_to_end(&mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest(&layer)]));
        assert_eq!(config["config"]["Entrypoint"], json!(["/var/task/bootstrap"]));
        let of_engines = &json_of(&image["manifest.json"])[0];
        assert_eq!(of_engines["RepoTags"], json!(["greeting:0.1.0-a"]));
        assert!(image.contains_key(of_engines["Config"].as_str().unwrap()));
        assert_eq!(image["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
    }

    #[test]
    fn the_layer_has_the_files_of_the_zip_with_the_binary_as_entry_point() {
        let layer = entries(&layer(&files(Form::Script, &contents())).unwrap());
        let names: Vec<(&str, u32)> = layer.iter().map(|(name, mode, _)| (&**name, *mode)).collect();
        assert_eq!(
            names,
            [
                ("tmp/", 0o1777),
                ("var/", 0o755),
                ("var/task/", 0o755),
                ("var/task/config/", 0o755),
                ("var/task/bootstrap", 0o755),
                ("var/task/config/a.txt", 0o644)
            ]
        );
        assert_eq!(layer[4].2, b"\x7fELF");
    }

    #[test]
    fn a_name_that_no_engine_accepts_is_left_out() {
        assert_eq!(tag("My_fn-1", "1.0.0").unwrap(), "my_fn-1:1.0.0");
        for name in ["f\u{e4}", "-a", "a--b", "a_"] {
            assert_eq!(tag(name, "1.0.0"), None, "{name}");
        }
    }
}
